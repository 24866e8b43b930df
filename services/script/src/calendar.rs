//! Civil dates of a season, without time zones: a day is a number of days since 1970-01-01.

use std::fmt;
use std::str::FromStr;

use convenio_wire::r#type::v1 as value;
use serde::Deserialize;

const DAY_MS: i64 = 86_400_000;

/// A civil date (proleptic Gregorian calendar).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Day(i64);

/// A text is no date.
#[derive(Debug, thiserror::Error)]
#[error("not a date as YYYY-MM-DD")]
pub struct BadDay;

impl Day {
    /// The day of a civil date; the month wraps as the calendar does.
    pub fn civil(year: i64, month: i64, day: i64) -> Self {
        // Years that begin in March put the leap day at their end.
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    /// The day, UTC, of a moment in Unix milliseconds.
    pub fn of_ms(ms: u64) -> Self {
        Self(i64::try_from(ms).unwrap_or(i64::MAX).div_euclid(DAY_MS))
    }

    /// The day `days` later, or earlier.
    pub fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// Whole days from this day to `later`.
    pub fn until(self, later: Self) -> i64 {
        later.0 - self.0
    }

    /// Unix milliseconds of a minute of this day, UTC.
    pub fn at_minute(self, minute: i64) -> i64 {
        self.0 * DAY_MS + minute * 60_000
    }

    /// Year, month and day.
    pub fn parts(self) -> (i64, i64, i64) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + i64::from(month <= 2), month, day)
    }

    /// As the contract's message.
    pub fn wire(self) -> value::Date {
        let (year, month, day) = self.parts();
        let small = |n: i64| i32::try_from(n).unwrap_or_default();
        value::Date { year: small(year), month: small(month), day: small(day) }
    }
}

impl FromStr for Day {
    type Err = BadDay;

    fn from_str(text: &str) -> Result<Self, BadDay> {
        let numbers: Option<Vec<i64>> = text.split('-').map(|part| part.parse().ok()).collect();
        let [year @ 1900..=2200, month, day] = numbers.unwrap_or_default()[..] else { return Err(BadDay) };
        let read = Self::civil(year, month, day);
        // A day that the month does not have would come back as another one.
        if read.parts() == (year, month, day) && text.len() == 10 { Ok(read) } else { Err(BadDay) }
    }
}

impl TryFrom<String> for Day {
    type Error = BadDay;

    fn try_from(text: String) -> Result<Self, BadDay> {
        text.parse()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree() {
        assert_eq!(Day::civil(1970, 1, 1).at_minute(0), 0);
        assert_eq!(Day::civil(2024, 6, 14).at_minute(754), 1_718_368_440_000);
        assert_eq!(Day::of_ms(1_718_368_440_000), Day::civil(2024, 6, 14));
        let mut day = Day::civil(1999, 12, 31);
        for _ in 0..3_000 {
            let (y, m, d) = day.parts();
            assert_eq!(Day::civil(y, m, d), day);
            assert_eq!(day.to_string().parse::<Day>().expect("its own text"), day);
            day = day.plus(1);
        }
        assert_eq!(Day::civil(2024, 2, 28).plus(2).to_string(), "2024-03-01");
    }

    #[test]
    fn no_date_is_invented() {
        for bad in ["2024-02-30", "2024-13-01", "2024-00-10", "24-01-01", "2024-1-1", "2024-01-01-01", "", "x"] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }
}
