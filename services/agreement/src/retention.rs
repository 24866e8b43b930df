//! When a part may be erased, and when it must be: the same answer at the issuer, at the recipient and in the audit.

use crate::pack::Pack;
use crate::view::PlacementView;

const DAY_MS: u64 = 86_400_000;

/// Whether a part may be erased on order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It may.
    Free,
    /// Not before this moment, Unix ms.
    Until(u64),
    /// Not while the placement goes on.
    WhileOpen,
    /// Never.
    ForEver,
}

impl Kept {
    /// Whether it may be erased at `now_ms`.
    #[must_use]
    pub fn is_free(self, now_ms: u64) -> bool {
        match self {
            Self::Free => true,
            Self::Until(ms) => now_ms >= ms,
            Self::WhileOpen | Self::ForEver => false,
        }
    }
}

impl Pack {
    /// When a placement ended, Unix ms; none while it goes on.
    #[must_use]
    pub fn ended_ms(&self, view: &PlacementView) -> Option<u64> {
        self.retention().is_end(&view.state).then_some(view.since_ms)
    }

    /// Whether an ERASE of a part of `class` is accepted. `ended_ms` is the placement's end; of what is no placement's,
    /// the time of the record.
    #[must_use]
    pub fn kept(&self, class: &str, ended_ms: Option<u64>) -> Kept {
        // A class that the pack does not have is that of no message.
        let Some(rule) = self.retention().class(class) else { return Kept::Free };
        match (rule.for_ever(), rule.minimum_months, ended_ms) {
            (true, ..) => Kept::ForEver,
            (false, 0, _) => Kept::Free,
            (false, _, None) => Kept::WhileOpen,
            (false, months, Some(ended)) => Kept::Until(months_after(ended, months)),
        }
    }

    /// When a part of `class` must be erased, Unix ms; none if never or not yet known.
    #[must_use]
    pub fn due_ms(&self, class: &str, ended_ms: Option<u64>) -> Option<u64> {
        let rule = self.retention().class(class).filter(|rule| !rule.for_ever())?;
        ended_ms.map(|ended| months_after(ended, rule.months))
    }
}

/// The same day and time so many months later, in the Gregorian calendar, UTC; the month's last day where it has fewer.
#[must_use]
pub fn months_after(ms: u64, months: u32) -> u64 {
    let (year, month, day) = civil(ms / DAY_MS);
    let month = month - 1 + u64::from(months);
    let (year, month) = (year + month / 12, month % 12 + 1);
    days(year, month, day.min(days_of(year, month))).saturating_mul(DAY_MS).saturating_add(ms % DAY_MS)
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day.saturating_add(719_468);
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let civil_month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(civil_month <= 2), civil_month, day)
}

/// Days from 1970-01-01 to a date not before it.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-31T12:00:00Z, from `date -u -d … +%s`.
    const JANUARY: u64 = 1_706_702_400_000;

    #[test]
    fn months_are_those_of_the_calendar() {
        assert_eq!(months_after(JANUARY, 0), JANUARY);
        assert_eq!(months_after(JANUARY, 1), 1_709_208_000_000); // 2024-02-29
        assert_eq!(months_after(JANUARY, 13), 1_740_744_000_000); // 2025-02-28
        assert_eq!(months_after(JANUARY, 72), 1_896_091_200_000); // 2030-01-31
        assert_eq!(months_after(0, 12), 365 * DAY_MS);
        for day in 0..60_000 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }
}
