//! What a model prints reads back as the same model: parse(print(x)) = x.
//!
//! The models come from the reference files, which hold every key there is, with parts taken out,
//! doubled or replaced at random. Most such files are wrong in some way, which is a test as well:
//! nothing panics, and whatever is refused says where and why.

#![expect(clippy::disallowed_methods, reason = "a test may read files and clocks")]

use pipelines::spec::{Kind, appspec, buildspec, group, lint, normalised, pipeline};
use proptest::prelude::*;
use serde_json::Value;

fn texts(kind: Kind) -> Vec<String> {
    let name = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/");
    let text = std::fs::read_to_string(format!("{name}{}.yml", kind.as_str()))
        .expect("the reference file is there");
    text.split("\n---\n").map(str::to_owned).collect()
}

fn documents(kind: Kind) -> Vec<Value> {
    let value = |text: &String| normalised(kind, text).value.expect("a reference file is valid");
    texts(kind).iter().map(value).collect()
}

/// One change: at the `place`-th value (modulo how many there are), do `what`.
#[derive(Debug, Clone)]
struct Change {
    place: usize,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Remove,
    Double,
    Set(Value),
}

fn change() -> impl Strategy<Value = Change> {
    let texts =
        ["", "x", "5m", "0s", "25%", "3", "true", "main", "~", "a: b", "#{run.id}", "é\u{a0}"];
    let scalar = prop_oneof![
        proptest::sample::select(texts.to_vec()).prop_map(Value::from),
        (0u32..200).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(Value::Array(Vec::new())),
    ];
    let what = prop_oneof![
        4 => Just(What::Remove),
        1 => Just(What::Double),
        2 => scalar.prop_map(What::Set),
    ];
    (any::<usize>(), what).prop_map(|(place, what)| Change { place, what })
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + count(item)).sum(),
        Value::Object(fields) => fields.values().map(|item| 1 + count(item)).sum(),
        _ => 0,
    }
}

/// Changes the `place`-th value below `value`, counting in the order of the text.
fn apply(value: &mut Value, mut place: usize, what: &What) {
    match value {
        Value::Array(items) => {
            for index in 0..items.len() {
                if place == 0 {
                    match what {
                        What::Remove => drop(items.remove(index)),
                        What::Double => items.insert(index, items[index].clone()),
                        What::Set(new) => items[index] = new.clone(),
                    }
                    return;
                }
                let below = count(&items[index]);
                if place <= below {
                    return apply(&mut items[index], place - 1, what);
                }
                place -= 1 + below;
            }
        }
        Value::Object(fields) => {
            for key in fields.keys().cloned().collect::<Vec<_>>() {
                let below = count(&fields[&key]);
                if place == 0 {
                    match what {
                        What::Remove | What::Double => drop(fields.remove(&key)),
                        What::Set(new) => drop(fields.insert(key, new.clone())),
                    }
                    return;
                }
                if place <= below {
                    return apply(&mut fields[&key], place - 1, what);
                }
                place -= 1 + below;
            }
        }
        _ => {}
    }
}

fn again(kind: Kind, text: &str) {
    macro_rules! same {
        ($module:ident) => {
            if let Some(first) = $module::parse(text).value {
                let printed = first.normalised().to_string();
                let second = $module::parse(&printed);
                assert_eq!(
                    second.value.as_ref(),
                    Some(&first),
                    "{printed}\n{:#?}",
                    second.problems
                );
                let stored = serde_json::to_value(&first).unwrap();
                assert_eq!(serde_json::from_value::<$module::Model>(stored).unwrap(), first);
            }
        };
    }
    match kind {
        Kind::Pipeline => same!(pipeline),
        Kind::Group => same!(group),
        Kind::Buildspec => same!(buildspec),
        Kind::Appspec => same!(appspec),
    }
}

#[test]
fn the_reference_files_read_back_as_they_print() {
    for kind in Kind::ALL {
        for text in texts(kind) {
            again(kind, &text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn whatever_reads_reads_back_as_it_prints(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        document in any::<prop::sample::Index>(),
        changes in proptest::collection::vec(change(), 0..6),
    ) {
        let documents = documents(kind);
        let mut value = document.get(&documents).clone();
        for change in &changes {
            let places = count(&value).max(1);
            apply(&mut value, change.place % places, &change.what);
        }
        again(kind, &value.to_string());
    }

    #[test]
    fn no_text_makes_a_reader_panic(
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        text in "(?s)[\\x00-\\x7f]{0,80}|.{0,40}|([a-z]{1,8}:( |\n {1,4}|\n  - )){1,6}",
    ) {
        for problem in lint(kind, &text) {
            prop_assert!(!problem.message.is_empty());
        }
    }
}

/// Small mistakes, everywhere: what is random above finds them only now and then.
#[test]
fn a_value_left_out_or_empty_anywhere_reads_back_as_it_prints() {
    for kind in [Kind::Pipeline, Kind::Group] {
        for document in documents(kind) {
            for place in 0..count(&document) {
                let spaced = Value::from("x\u{a0}");
                for what in [What::Remove, What::Set(Value::Null), What::Set(spaced)] {
                    let mut value = document.clone();
                    apply(&mut value, place, &what);
                    again(kind, &value.to_string());
                }
            }
        }
    }
}
