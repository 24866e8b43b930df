//! Times as people write them: RFC 3339 in UTC, and months.

const DAY_MS: u64 = 86_400_000;

/// `2026-05-01T12:34:56Z`, or with milliseconds where there are any.
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let (year, month, day) = civil(ms / DAY_MS);
    let (second, rest) = (ms / 1_000 % 86_400, ms % 1_000);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}") };
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// `2026-05`.
#[must_use]
pub fn month(ms: u64) -> String {
    let (year, month, _) = civil(ms / DAY_MS);
    format!("{year:04}-{month:02}")
}

/// Unix ms of `2026-05-01T12:34:56Z` (also with a fraction of three digits, or an offset `±hh:mm`), or of a day
/// `2026-05-01`, then of its last millisecond. Only times from 1970 to 9999.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let is = |at: usize, byte: u8| text.as_bytes().get(at) == Some(&byte);
    let days = day_of(number(0, 4)?, number(5, 7)?, number(8, 10)?).filter(|_| is(4, b'-') && is(7, b'-'))?;
    if text.len() == 10 {
        return Some(days * DAY_MS + DAY_MS - 1);
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !is(10, b'T') || !is(13, b':') || !is(16, b':') || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = if is(19, b'.') { (number(20, 23)?, 23) } else { (0, 19) };
    let local = days * DAY_MS + (hour * 3_600 + minute * 60 + second) * 1_000 + fraction;
    if is(zone, b'Z') && text.len() == zone + 1 {
        return Some(local);
    }
    let (hours, minutes) = (number(zone + 1, zone + 3)?, number(zone + 4, zone + 6)?);
    let offset = (hours * 60 + minutes) * 60_000;
    if hours > 23 || minutes > 59 || !is(zone + 3, b':') || text.len() != zone + 6 {
        return None;
    }
    match text.as_bytes()[zone] {
        b'+' => local.checked_sub(offset),
        b'-' => local.checked_add(offset),
        _ => None,
    }
}

/// Year, month and day of a day since 1970 (H. Hinnant, `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days from 1970 to a date that exists.
fn day_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_year = (153 * m + 2) / 5 + day - 1;
    let days = y / 400 * 146_097 + (y % 400 * 365 + y % 400 / 4 - y % 400 / 100 + of_year) - 719_468;
    (civil(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_714_566_896_007, "2024-05-01T12:34:56.007Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!((rfc3339(ms).as_str(), parse(text)), (text, Some(ms)));
        }
        assert_eq!(parse("2024-05-01T06:34:56.007-06:00"), Some(1_714_566_896_007));
        assert_eq!(parse("2024-05-01"), parse("2024-05-01T23:59:59.999Z"));
        assert_eq!(month(1_714_566_896_007), "2024-05");
        for bad in ["", "2023-02-29", "2024-05-01T12:34:56", "2024-13-01", "1969-12-31", "2024-05-01T24:00:00Z", "ñ"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_is_itself() {
        for days in (0..2_900_000).step_by(17) {
            let (year, month, day) = civil(days);
            assert_eq!(day_of(year, month, day), Some(days));
        }
    }
}
