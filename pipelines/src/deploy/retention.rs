//! Which of a host's kept releases stay: decided here, so that the simulator plays what agents do.

use std::collections::BTreeSet;

/// How much may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Releases, the current one included.
    pub number: u32,
    /// Of all that are kept together. None: no limit.
    pub bytes: Option<u64>,
}

/// The releases that stay. `history`: those that once succeeded on the host, oldest first; what failed
/// does not push them out. `fixed`: what stays whatever the limits, such as the one in use, the last good
/// one and those to go back to. `size` is asked only where bytes are limited.
#[must_use]
pub fn kept<R: Ord + Clone>(
    history: &[R],
    fixed: &[R],
    keep: Keep,
    size: impl Fn(&R) -> u64,
) -> BTreeSet<R> {
    let mut kept: BTreeSet<R> = fixed.iter().cloned().collect();
    let recent = history.iter().rev().take(keep.number.max(1) as usize);
    let Some(bytes) = keep.bytes else {
        kept.extend(recent.cloned());
        return kept;
    };
    let mut left = bytes.saturating_sub(kept.iter().map(&size).sum());
    for release in recent {
        if kept.contains(release) {
            continue;
        }
        match left.checked_sub(size(release)) {
            Some(rest) => left = rest,
            // An older one that is smaller would be a gap in the history.
            None => break,
        }
        kept.insert(release.clone());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(number: u32, bytes: Option<u64>) -> Keep {
        Keep { number, bytes }
    }

    #[test]
    fn what_is_fixed_stays_and_only_successes_count() {
        let all = |kept: BTreeSet<i32>| kept.into_iter().collect::<Vec<_>>();
        assert_eq!(all(kept(&[1, 2, 3], &[], keep(2, None), |_| 1)), [2, 3]);
        assert_eq!(all(kept(&[1, 2, 3], &[1, 9], keep(1, None), |_| 1)), [1, 3, 9]);
        assert_eq!(all(kept(&[1, 2, 3], &[], keep(0, None), |_| 1)), [3], "the newest always");
        assert_eq!(all(kept(&[1, 2, 3], &[1], keep(5, Some(20)), |_| 10)), [1, 3]);
        let size = |release: &i32| if *release == 2 { 100 } else { 1 };
        assert_eq!(all(kept(&[1, 2, 3], &[], keep(5, Some(20)), size)), [3], "without a gap");
    }
}
