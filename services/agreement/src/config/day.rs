//! Civil days of `agreement.toml`, written `YYYY-MM-DD`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A civil day (UTC where time matters), 1900-01-01 to 2200-12-31; the order is that of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a day of the calendar from 1900 to 2200, written YYYY-MM-DD")]
pub struct NoDay;

impl Day {
    /// The day of a year, month and day of the month; None if the calendar has none such.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let last = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let fits = (1900..=2200).contains(&year) && (1..=last).contains(&day);
        fits.then_some(Self { year, month, day })
    }

    /// Year, month and day of the month.
    #[must_use]
    pub fn parts(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// The day that lies so many days after 1970-01-01; None before 1900 or after 2200.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        let shifted = number.checked_add(719_468)?;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let of_cycle = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = of_cycle + era * 400 + i64::from(month <= 2);
        Self::new(u16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }

    /// Days since 1970-01-01, before it negative (H. Hinnant, `days_from_civil`).
    #[must_use]
    pub fn number(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }
}

impl FromStr for Day {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        let shape = text.len() == 10
            && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
        if !shape {
            return Err(NoDay);
        }
        let part = |range: std::ops::Range<usize>| text.get(range).ok_or(NoDay);
        let year = part(0..4)?.parse().map_err(|_| NoDay)?;
        let month = part(5..7)?.parse().map_err(|_| NoDay)?;
        let day = part(8..10)?.parse().map_err(|_| NoDay)?;
        Self::new(year, month, day).ok_or(NoDay)
    }
}

impl TryFrom<String> for Day {
    type Error = NoDay;

    fn try_from(text: String) -> Result<Self, NoDay> {
        text.parse()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let number = |text: &str| text.parse::<Day>().unwrap().number();
        assert_eq!(number("1970-01-01"), 0);
        assert_eq!(number("1969-12-31"), -1);
        assert_eq!(number("2000-03-01"), 11_017);
        assert_eq!(number("2024-02-29"), 19_782);
        assert_eq!(number("2024-12-31") + 1, number("2025-01-01"));
        for text in ["1900-01-01", "1969-12-31", "2000-02-29", "2024-02-29", "2100-03-01", "2200-12-31"] {
            assert_eq!(Day::from_number(number(text)).unwrap().to_string(), text);
        }
        assert_eq!(Day::from_number(number("2200-12-31") + 1), None);
        assert_eq!("2022-05-05".parse::<Day>().unwrap().to_string(), "2022-05-05");
        for no in [
            "2023-02-29",
            "2100-02-29",
            "2022-13-01",
            "2022-00-01",
            "2022-01-32",
            "22-01-01",
            "2022-1-01",
            "+022-01-01",
            "1899-12-31",
        ] {
            assert_eq!(no.parse::<Day>(), Err(NoDay), "{no}");
        }
    }
}
