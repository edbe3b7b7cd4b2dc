//! Every rule is asserted somewhere, and the assertions see the engines that break them.

use crate::sim::RULES;

const SOURCES: [(&str, &str); 7] = [
    ("deploy/invariants.rs", include_str!("../../deploy/invariants.rs")),
    ("sim/check.rs", include_str!("../check.rs")),
    ("sim/check/end.rs", include_str!("../check/end.rs")),
    ("sim/check/people.rs", include_str!("../check/people.rs")),
    ("sim/fleet.rs", include_str!("../fleet.rs")),
    ("sim/play.rs", include_str!("../play.rs")),
    ("sim/settle.rs", include_str!("../settle.rs")),
];

#[test]
fn every_rule_is_asserted_where_the_table_says() {
    for (index, (rule, _, place)) in RULES.iter().enumerate() {
        assert_eq!(*rule, format!("I{}", index + 1), "in their order, and all of them");
        let Some((_, text)) = SOURCES.iter().find(|(name, _)| name == place) else {
            assert!(
                !place.ends_with(".rs") || place.contains(' '),
                "{rule}: {place} is not read here"
            );
            continue;
        };
        let asserted =
            text.contains(&format!("\"{rule}\"")) || text.contains(&format!("\"{rule}: "));
        assert!(asserted, "{rule} is not asserted in {place}");
    }
}
