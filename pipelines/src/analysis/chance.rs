//! The exact conditional binomial test of two error rates.

use statrs::distribution::{Binomial, ContinuousCDF, Discrete, Normal};

/// Above this variance the normal distribution is exact to six digits, and a sum would take long.
const VARIANCE_MAX: f64 = 1e8;
/// What is this much smaller than the sum changes nothing any more.
const NEGLIGIBLE: f64 = 1e-17;

/// The probability that `errors` or more of `all` errors fall to a side that has `share` (0 to 1) of
/// the requests, when both sides err equally often. 1 where that cannot be said.
#[must_use]
pub fn chance(errors: u64, all: u64, share: f64) -> f64 {
    let usable = share > 0.0 && share < 1.0 && errors <= all;
    if errors == 0 || !usable {
        return 1.0;
    }
    let mean = all as f64 * share;
    let variance = mean * (1.0 - share);
    if variance > VARIANCE_MAX {
        let normal = Normal::new(mean, variance.sqrt());
        // Half a step for the corner of the staircase.
        return normal.map_or(1.0, |normal| normal.sf(errors as f64 - 0.5));
    }
    let Ok(binomial) = Binomial::new(share, all) else { return 1.0 };
    // From the edge away from the middle, so that terms shrink and few of them matter.
    if errors as f64 > mean {
        upwards(&binomial, errors, all, share).min(1.0)
    } else {
        (1.0 - downwards(&binomial, errors - 1, all, share)).clamp(0.0, 1.0)
    }
}

fn upwards(binomial: &Binomial, from: u64, all: u64, share: f64) -> f64 {
    let odds = share / (1.0 - share);
    let mut term = binomial.ln_pmf(from).exp();
    let mut sum = term;
    for k in from..all {
        term *= (all - k) as f64 / (k + 1) as f64 * odds;
        sum += term;
        if term <= sum * NEGLIGIBLE {
            break;
        }
    }
    sum
}

fn downwards(binomial: &Binomial, from: u64, all: u64, share: f64) -> f64 {
    let odds = (1.0 - share) / share;
    let mut term = binomial.ln_pmf(from).exp();
    let mut sum = term;
    for k in (1..=from).rev() {
        term *= k as f64 / (all - k + 1) as f64 * odds;
        sum += term;
        if term <= sum * NEGLIGIBLE {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::DiscreteCDF;

    fn close(a: f64, b: f64, tolerance: f64) -> bool {
        (a - b).abs() <= tolerance * a.abs().max(b.abs())
    }

    #[test]
    fn it_is_the_binomials_tail() {
        for all in [1, 2, 5, 40, 300] {
            for errors in 1..=all {
                for share in [0.001, 0.1, 0.5, 0.9] {
                    let exact = Binomial::new(share, all).unwrap().sf(errors - 1);
                    let ours = chance(errors, all, share);
                    // statrs loses digits where it subtracts from 1.
                    let same = close(ours, exact, 1e-8) || (ours - exact).abs() < 1e-12;
                    assert!(same, "{errors} of {all} at {share}: {ours} instead of {exact}");
                }
            }
        }
        // By hand: all 5 of 5 in a tenth of the requests.
        assert!(close(chance(5, 5, 0.1), 1e-5, 1e-9));
    }

    #[test]
    fn sum_and_normal_agree_where_they_meet() {
        let all = 390_000_000;
        for errors in [194_990_000, 195_000_000, 195_010_000, 195_025_000] {
            let summed = chance(errors, all, 0.5);
            let variance = all as f64 * 0.25;
            let normal = Normal::new(all as f64 * 0.5, variance.sqrt()).unwrap();
            let normal = normal.sf(errors as f64 - 0.5);
            assert!(variance < VARIANCE_MAX && close(summed, normal, 1e-4), "{summed} {normal}");
        }
    }

    #[test]
    fn nothing_makes_it_panic_or_leave_its_range() {
        let counts = [0, 1, 2, 1_000, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        let shares =
            [f64::NAN, -1.0, 0.0, f64::MIN_POSITIVE, 1e-9, 0.5, 1.0 - 1e-12, 1.0, f64::INFINITY];
        for errors in counts {
            for all in counts {
                for share in shares {
                    let p = chance(errors, all, share);
                    assert!((0.0..=1.0).contains(&p), "{errors} of {all} at {share}: {p}");
                }
            }
        }
    }
}
