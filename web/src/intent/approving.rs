//! Answers to a deployment that waits for an approval. An answer is good for what the person looked at
//! and for nothing else: this step of this plan, made for this revision, since these orders.

use super::cut;
use super::steering::planned;
use crate::auth::Person;
use crate::error::{Error, Result};
use crate::words;
use pipelines::deploy::people;
use pipelines::deploy::{Event, Plan, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::deployments::Row;
use store::{PgConnection, inbox};

/// What somebody looked at when they decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Counted from 1.
    pub step: usize,
    pub generation: u64,
    /// SHA-256 of the plan.
    pub plan: String,
    /// SHA-256 of the revision's bundle.
    pub bundle: String,
}

pub struct Answer<'a> {
    pub seen: &'a Seen,
    pub approved: bool,
    pub comment: &'a str,
}

/// What there is to agree to now; None when nothing waits for it.
pub fn asked(row: &Row) -> Option<Seen> {
    let (plan, state) = planned(row).ok()?;
    people::asks(plan, state).filter(|_| row.finished_at.is_none())?;
    Some(Seen {
        step: state.step + 1,
        generation: state.generation,
        plan: digest(plan),
        bundle: plan.revision.bundle.digest.to_string(),
    })
}

/// What the plan does after the step in progress, in words.
pub fn next(plan: &Plan, state: &State) -> Vec<String> {
    plan.steps.iter().skip(state.step + 1).map(|step| step.sentence(plan)).collect()
}

/// Of the plan's JSON with its keys in order, as the database has it.
fn digest(plan: &Plan) -> String {
    // A value's maps are sorted, whatever the order of the fields in the program.
    let canonical = serde_json::to_value(plan).map(|value| value.to_string()).unwrap_or_default();
    hex::encode(Sha256::digest(canonical))
}

/// Records the answer for the engine; wake it after the commit.
pub async fn decide(
    conn: &mut PgConnection,
    row: &Row,
    person: &Person,
    answer: &Answer<'_>,
) -> Result<()> {
    let id = row.id();
    let Some(now) = asked(row) else {
        let (message, help) = not_asking(row);
        return Err(Error::conflict(message, help));
    };
    if let Some(changed) = changed(row, answer.seen, &now) {
        return Err(Error::conflict(
            format!("deployment {id} is not what you saw any more: {changed}"),
            format!("look at it again, then decide: 'pipectl explain {id}', or reload its page"),
        ));
    }
    let reason = cut(answer.comment);
    if !answer.approved && reason.is_empty() {
        return Err(Error::bad_request("a rejection needs a reason", "say why"));
    }
    let event = Event::Decide {
        by: person.name().to_owned(),
        step: now.step - 1,
        generation: now.generation,
        approve: answer.approved,
        reason,
    };
    Ok(inbox::post_deployment(conn, id, &event).await?)
}

fn not_asking(row: &Row) -> (String, String) {
    let approved = row.state.as_ref().and_then(|state| state.approved_by.as_ref());
    let why = match approved {
        Some(by) => format!("{by} approved it"),
        None => words::deployment::sentence(row),
    };
    let message = format!("deployment {} does not wait for an approval: {why}", row.id());
    (message, format!("see where it stands: 'pipectl explain {}'", row.id()))
}

/// The first thing in which what was seen is not what is asked now.
fn changed(row: &Row, seen: &Seen, now: &Seen) -> Option<String> {
    if seen.bundle != now.bundle {
        let label = &row.revision.label;
        return Some(format!("it brings another revision, {label} (bundle {})", now.bundle));
    }
    if seen.step != now.step {
        return Some(format!("it waits at step {} now, you saw step {}", now.step, seen.step));
    }
    if seen.generation != now.generation {
        return Some(format!(
            "its hosts were given other orders since (generation {}, you saw {})",
            now.generation, seen.generation
        ));
    }
    (seen.plan != now.plan).then(|| "its plan is another".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn a_plan_has_one_digest_however_it_is_written() {
        let plan = sample::deployment().plan.unwrap().0;
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(digest(&plan), digest(&again));
        assert_eq!(digest(&plan).len(), 64);
        let mut other = plan.clone();
        other.limits.min_healthy += 1;
        assert_ne!(digest(&plan), digest(&other));
    }

    #[test]
    fn what_changed_is_named() {
        let row = sample::waiting_for_approval();
        let now = asked(&row).unwrap();
        assert_eq!(changed(&row, &now, &now), None);
        let said = |seen: Seen| changed(&row, &seen, &now).unwrap();
        let step = format!("it waits at step {} now, you saw step 1", now.step);
        assert_eq!(said(Seen { step: 1, ..now.clone() }), step);
        let generation = said(Seen { generation: 0, ..now.clone() });
        assert!(generation.contains("(generation 1, you saw 0)"), "{generation}");
        assert_eq!(said(Seen { plan: "0".into(), ..now.clone() }), "its plan is another");
        assert!(
            said(Seen { bundle: "0".into(), ..now.clone() })
                .starts_with("it brings another revision")
        );
        assert_eq!(asked(&sample::deployment()), None);
    }
}
