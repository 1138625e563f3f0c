//! Detects predictions left over from an earlier run, by the modification times of the files.

use std::time::{Duration, SystemTime};

use crate::{Code, Finding, PatchId, finding::remarks::ranges};

/// A gap between writes that is too long for one run: the whole test set may take 25 minutes.
const PAUSE: Duration = Duration::from_hours(1);

/// Reports the predictions on the smaller side of the longest gap between writes, if the gap is at least [`PAUSE`].
pub(super) fn stale(mut written: Vec<(SystemTime, PatchId)>) -> Option<Finding> {
    written.sort_unstable();
    let pause = |pair: &[(SystemTime, PatchId)]| match pair {
        [(a, _), (b, _)] => b.duration_since(*a).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let (last, longest) = written.windows(2).map(pause).enumerate().max_by_key(|(_, pause)| *pause)?;
    if longest < PAUSE {
        return None;
    }
    let (before, after) = written.split_at(last + 1);
    let (odd, side) = if before.len() <= after.len() { (before, "before") } else { (after, "after") };
    let hours = longest.as_secs() / 3600;
    let pause = match hours {
        0..48 => format!("{hours} h"),
        _ => format!("{} days", hours / 24),
    };
    let (count, all) = (odd.len(), written.len());
    let message =
        format!("{count} of {all} predictions were written {pause} {side} the others: do they belong to another run?");
    Some(Code::StaleFiles.finding(ranges(odd.iter().map(|(_, id)| *id)), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(hours: &[u64]) -> Option<String> {
        let time = |hour: &u64| SystemTime::UNIX_EPOCH + Duration::from_hours(*hour);
        let ids = (1..).filter_map(PatchId::new);
        stale(hours.iter().map(time).zip(ids).collect()).map(|f| format!("{}: {}", f.subject, f.message))
    }

    #[test]
    fn the_smaller_side_of_a_long_pause_is_stale() {
        assert_eq!(message(&[]), None);
        assert_eq!(message(&[7]), None);
        assert_eq!(message(&[7, 7, 7]), None);
        insta::assert_snapshot!(message(&[100, 3, 100, 101]).unwrap(), @"000002: 1 of 4 predictions were written 4 days before the others: do they belong to another run?");
        insta::assert_snapshot!(message(&[1, 1, 1, 7, 7]).unwrap(), @"000004-000005: 2 of 5 predictions were written 6 h after the others: do they belong to another run?");
    }
}
