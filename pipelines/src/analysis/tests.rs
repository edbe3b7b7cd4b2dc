use super::*;
use crate::protocol::answer::ServerCounters;
use crate::sim::Dice;
use crate::spec::group::{CeilingRule, ErrorRule, LatencyRule};
use crate::time::Millis;

/// Counters that are added to.
#[derive(Default)]
struct Balancer {
    life: u32,
    new: ServerCounters,
    old: ServerCounters,
}

impl Balancer {
    fn serve(&mut self, new: (u64, u64), old: (u64, u64)) {
        self.new.requests += new.0;
        self.new.errors += new.1;
        self.old.requests += old.0;
        self.old.errors += old.1;
    }

    fn look(&self) -> Look {
        let named = |counters: &ServerCounters, name: &str| ServerCounters {
            name: name.to_owned(),
            ..counters.clone()
        };
        let servers = vec![named(&self.new, "n"), named(&self.old, "o")];
        let names = |name: &str| [name.to_owned()].into();
        Look {
            counters: Counters { life: self.life.to_string(), servers },
            new: names("n"),
            old: names("o"),
        }
    }
}

/// Requests and errors of the new side, and of the old.
type Window = ((u64, u64), (u64, u64));

/// The tally after these windows.
fn tally(rules: &Analysis, windows: &[Window]) -> Tally {
    let (mut tally, mut balancer) = (Tally::default(), Balancer::default());
    tally.add(rules, balancer.look());
    for (new, old) in windows {
        balancer.serve(*new, *old);
        tally.add(rules, balancer.look());
    }
    tally
}

fn verdict(rules: &Analysis, windows: &[Window]) -> (Verdict, String) {
    tally(rules, windows).verdict(rules, rules.min_samples)
}

#[test]
fn worse_in_two_looks_in_a_row_fails_and_says_by_which_numbers() {
    let rules = Analysis::default();
    let worse = ((1000, 30), (9000, 45));
    let (once, why) = verdict(&rules, &[worse]);
    assert_eq!(once, Verdict::Inconclusive, "one look is not two");
    assert!(why.contains("worse in 1 of 2 looks"), "{why}");
    let (twice, why) = verdict(&rules, &[worse, worse]);
    assert_eq!(twice, Verdict::Fail);
    for part in [
        "fail, by the rule: at least 5 errors, 1.5 times the others' rate and p at most 0.01 in 2 looks",
        "new 60 errors in 2000 requests (3 %)",
        "old 90 errors in 18000 requests (0.5 %)",
        "n = 20000, p = ",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let (later, _) = verdict(&rules, &[worse, worse, ((100_000, 0), (1, 1))]);
    assert_eq!(later, Verdict::Fail, "it stays failed");
}

#[test]
fn each_condition_of_the_error_rule_is_needed() {
    let rules = Analysis::default();
    let failing = ((1000, 30), (9000, 45));
    let twice = |rules: &Analysis, window| verdict(rules, &[window, window]).0;
    assert_eq!(twice(&rules, failing), Verdict::Fail);
    assert_eq!(twice(&rules, ((1000, 2), (9000, 0))), Verdict::Pass, "4 errors are few");
    assert_eq!(twice(&rules, ((100_000, 1400), (900_000, 9000))), Verdict::Pass, "not 1.5 times");
    assert_eq!(twice(&rules, ((1000, 4), (1000, 2))), Verdict::Pass, "chance explains it");
    let strict = ErrorRule { at_least: 100, ..rules.errors };
    assert_eq!(twice(&Analysis { errors: strict, ..rules }, failing), Verdict::Pass);
}

#[test]
fn nothing_passes_on_too_little() {
    let rules = Analysis::default();
    let never = Tally::default().verdict(&rules, 500);
    assert_eq!(never.0, Verdict::Inconclusive);
    assert_eq!(tally(&rules, &[]).verdict(&rules, 500).0, Verdict::Inconclusive, "one look");
    for (new, old, expected) in [
        ((499, 0), (5000, 0), Verdict::Inconclusive),
        ((500, 0), (5000, 0), Verdict::Pass),
        ((500, 0), (0, 0), Verdict::Inconclusive),
        ((0, 0), (5000, 0), Verdict::Inconclusive),
    ] {
        let (found, why) = verdict(&rules, &[(new, old)]);
        assert_eq!(found, expected, "{why}");
    }
    let zero = tally(&rules, &[((0, 0), (10, 0))]).verdict(&rules, 0);
    assert_eq!(zero.0, Verdict::Inconclusive, "asked for none, and none is none");
    let (_, why) = verdict(&rules, &[((12, 0), (88, 1))]);
    assert!(why.starts_with("inconclusive, 12 of 500 requests to judge by"), "{why}");
}

#[test]
fn above_the_ceiling_it_fails_whatever_the_others_have() {
    let rules = Analysis::default();
    assert_eq!(verdict(&rules, &[((300, 20), (9000, 900))]).0, Verdict::Fail);
    assert_ne!(verdict(&rules, &[((300, 19), (9000, 900))]).0, Verdict::Fail, "19 are few");
    assert_ne!(verdict(&rules, &[((400, 20), (9000, 900))]).0, Verdict::Fail, "5 % is not above");
    let loose = CeilingRule { rate: 1.0, at_least: 1 };
    let loose = Analysis { ceiling: loose, ..rules };
    assert_eq!(verdict(&loose, &[((900, 900), (9000, 9000))]).0, Verdict::Pass, "equally broken");
}

#[test]
fn slow_in_three_of_five_looks_fails() {
    let rules = Analysis::default();
    let play = |times: &[(u32, u32)], requests: u64| {
        let (mut tally, mut balancer) = (Tally::default(), Balancer::default());
        tally.add(&rules, balancer.look());
        for (new, old) in times {
            balancer.serve((requests, 0), (requests, 0));
            (balancer.new.latency_ms, balancer.old.latency_ms) = (Some(*new), Some(*old));
            tally.add(&rules, balancer.look());
        }
        tally.verdict(&rules, 1)
    };
    let (slow, fine) = ((301, 200), (300, 200));
    let failed = play(&[slow, fine, slow, fine, slow], 100);
    assert_eq!(failed.0, Verdict::Fail, "{}", failed.1);
    assert!(failed.1.contains("301 against 200 ms"), "{}", failed.1);
    assert_eq!(play(&[slow, fine, fine, slow, fine, slow], 100).0, Verdict::Inconclusive);
    assert_eq!(play(&[slow, slow, fine], 100).0, Verdict::Pass);
    assert_eq!(play(&[slow; 5], 99).0, Verdict::Pass, "too few requests to time");
    assert_eq!(play(&[(59, 10); 5], 100).0, Verdict::Pass, "within the slack");
    assert_eq!(play(&[(61, 10); 5], 100).0, Verdict::Fail);
}

#[test]
fn a_window_that_cannot_be_compared_counts_for_nobody() {
    let rules = Analysis::default();
    let (mut tally, mut balancer) = (Tally::default(), Balancer::default());
    tally.add(&rules, balancer.look());
    balancer.serve((600, 0), (600, 0));
    tally.add(&rules, balancer.look());
    let before = tally.clone();
    // Reloaded: it counts from zero.
    balancer = Balancer { life: 1, ..Balancer::default() };
    balancer.serve((5, 5), (5, 0));
    tally.add(&rules, balancer.look());
    assert_eq!((tally.new, tally.old, tally.windows), (before.new, before.old, 1));
    // A host that is not warm yet, and then is.
    let mut cold = balancer.look();
    cold.new.clear();
    balancer.serve((50, 50), (50, 0));
    tally.add(&rules, cold);
    tally.add(&rules, balancer.look());
    assert_eq!(tally.windows, 1, "it was cold at one end of each window");
    balancer.serve((7, 0), (8, 0));
    tally.add(&rules, balancer.look());
    assert_eq!((tally.new.requests, tally.old.requests), (607, 608));
    let kept: Tally = serde_json::from_str(&serde_json::to_string(&tally).unwrap()).unwrap();
    assert_eq!(kept, tally);
}

#[test]
fn hostile_numbers_neither_panic_nor_pass_unseen() {
    let odd = [0.0, -1.0, 1e308, f64::NAN, f64::INFINITY];
    let counts = [(0, 0), (1, 1), (u64::MAX / 4, 0), (u64::MAX / 4, u64::MAX / 4)];
    for number in odd {
        let errors = ErrorRule { ratio: number, p: number, ..ErrorRule::default() };
        let ceiling = CeilingRule { rate: number, at_least: 1 };
        let latency =
            LatencyRule { ratio: number, slack: Millis(u64::MAX), ..LatencyRule::default() };
        let rules = Analysis { errors, ceiling, latency, ..Analysis::default() };
        for new in counts {
            for old in counts {
                let (found, why) = verdict(&rules, &[(new, old), (new, old)]);
                assert!(found != Verdict::Pass || new.0 > 0, "{why}");
            }
        }
    }
}

/// How many of so many requests end in an error: from one error to the next.
fn errors(dice: &mut Dice, requests: u64, rate: f64) -> u64 {
    let (mut at, mut errors) = (0.0, 0);
    loop {
        // 0 is no number to take a logarithm of.
        let luck = (dice.below(1 << 53) + 1) as f64 / (1_u64 << 53) as f64;
        at += (luck.ln() / (1.0 - rate).ln()).floor() + 1.0;
        if at > requests as f64 {
            return errors;
        }
        errors += 1;
    }
}

/// Of many deployments, with ten looks of 200 new and 1,800 old requests each: the share that fails,
/// and at which look on average.
fn play(rules: &Analysis, new: f64, old: f64) -> (f64, f64) {
    const DEPLOYMENTS: u32 = 10_000;
    let mut dice = Dice::new(20_261_121);
    let (mut failed, mut looks) = (0, 0);
    for _ in 0..DEPLOYMENTS {
        let (mut tally, mut balancer) = (Tally::default(), Balancer::default());
        tally.add(rules, balancer.look());
        for look in 1..=10 {
            let new = (200, errors(&mut dice, 200, new));
            balancer.serve(new, (1800, errors(&mut dice, 1800, old)));
            tally.add(rules, balancer.look());
            if tally.verdict(rules, 500).0 == Verdict::Fail {
                failed += 1;
                looks += look;
                break;
            }
        }
    }
    let mean = f64::from(looks) / f64::from(failed.max(1));
    (f64::from(failed) / f64::from(DEPLOYMENTS), mean)
}

/// The figures the documentation promises, of the error rule by itself.
#[test]
fn false_alarms_are_as_rare_and_detection_as_sure_as_is_said() {
    let ceiling = CeilingRule { rate: 1.0, at_least: u32::MAX };
    let rules = Analysis { ceiling, ..Analysis::default() };
    let once = ErrorRule { looks: 1, ..rules.errors };
    let once = Analysis { errors: once, ..rules.clone() };
    let cases = [
        ("1.2 % false alarms", &rules, 0.01, 0.01, 0.009..=0.016),
        ("0.5 % false alarms", &rules, 0.05, 0.05, 0.001..=0.006),
        ("2.3 % with one look", &once, 0.01, 0.01, 0.020..=0.032),
        ("1.9 % with one look", &once, 0.05, 0.05, 0.008..=0.022),
        ("99.9 % found", &rules, 0.01, 0.001, 0.997..=1.0),
        ("100 % found", &rules, 0.05, 0.01, 0.999..=1.0),
    ];
    let mut wrong = Vec::new();
    for (said, rules, new, old, expected) in cases {
        let (share, look) = play(rules, new, old);
        if !expected.contains(&share) {
            wrong.push(format!("{said} of {new} against {old}: {share}, at look {look}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (_, slow) = play(&rules, 0.01, 0.001);
    let (_, fast) = play(&rules, 0.05, 0.01);
    assert!((3.6..=4.6).contains(&slow), "said: found at look 4.1 on average, {slow}");
    assert!((2.0..=2.4).contains(&fast), "said: found at look 2.2 on average, {fast}");
}
