//! Civil dates (proleptic Gregorian calendar) and moments.

use convenio_wire::r#type::v1::Date;

const DAY_MS: i64 = 86_400_000;

/// Whether the date is one of the calendar.
pub(crate) fn exists(date: &Date) -> bool {
    let leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
    let days = match date.month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&date.day)
}

/// The date as something that can be ordered.
pub(crate) fn order(date: &Date) -> (i32, i32, i32) {
    (date.year, date.month, date.day)
}

/// Whether someone born on `birth` has `years` full years on the day of `moment_ms` (Unix ms, UTC). Who was born on
/// 29 February has them on 1 March of a common year.
pub(crate) fn has_years(birth: &Date, years: u32, moment_ms: u64) -> bool {
    let Ok(years) = i32::try_from(years) else { return false };
    let day = civil(i64::try_from(moment_ms).unwrap_or(i64::MAX) / DAY_MS);
    (birth.year.saturating_add(years), birth.month, birth.day) <= day
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i32, i32, i32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let narrow = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
    (narrow(year), narrow(month), narrow(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: i32, month: i32, day: i32) -> Date {
        Date { year, month, day }
    }

    #[test]
    fn only_dates_of_the_calendar_exist() {
        assert!(exists(&date(2024, 2, 29)) && exists(&date(2000, 2, 29)) && exists(&date(2024, 12, 31)));
        for bad in [
            date(2023, 2, 29),
            date(1900, 2, 29),
            date(2024, 4, 31),
            date(2024, 13, 1),
            date(2024, 0, 1),
            date(2024, 1, 0),
        ] {
            assert!(!exists(&bad), "{bad:?}");
        }
    }

    #[test]
    fn a_day_count_is_a_date() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(19_783), (2024, 3, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
    }

    #[test]
    fn years_are_full_on_the_birthday() {
        let day = 19_782 * 86_400_000; // 2024-02-29
        assert!(has_years(&date(2006, 2, 28), 18, day));
        assert!(has_years(&date(2006, 2, 1), 18, day));
        assert!(!has_years(&date(2006, 3, 1), 18, day));
        assert!(!has_years(&date(2006, 3, 1), 18, day + 86_399_999));
        assert!(has_years(&date(2006, 3, 1), 18, day + 86_400_000));
    }
}
