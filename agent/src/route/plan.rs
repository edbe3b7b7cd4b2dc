//! From what a balancer says and what is wanted to what to do, and every refusal there is. Pure, so
//! that nothing has been touched when something is refused.

use super::fault::{Fault, instead};
use super::order::{Target, Wanted, Wish};
use super::router::{Change, Seen, Share, View};
use pipelines::protocol::route::Traffic;
use std::net::SocketAddr;

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Servers the balancer does not know yet.
    pub add: Vec<(String, SocketAddr)>,
    /// Servers that are to be green before they get traffic.
    pub prove: Vec<String>,
    /// All that changes in one instant.
    pub flip: Vec<Change>,
    /// Servers that are to be without open requests in the end.
    pub empty: Vec<String>,
    /// The ones among them that the flip leaves to clients that stick to them.
    pub linger: Vec<String>,
    pub gone: Vec<String>,
}

impl Plan {
    /// # Errors
    /// When something wanted is not possible, or would leave nobody to answer.
    pub fn new(target: &Target, view: &View, wish: &Wish) -> Result<Plan, Fault> {
        let mut plan = Plan::default();
        let (mut lower, mut raise, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for wanted in &wish.servers {
            let seen = view.server(&wanted.name);
            plan.known(target, view, seen, wanted)?;
            let name = wanted.name.clone();
            match (wanted.traffic, seen) {
                (Traffic::In { weight }, seen) => match seen.map(|seen| seen.share) {
                    Some(Share::In { weight: before }) if weight < before => {
                        lower.push(Change::In { name, weight });
                    }
                    Some(Share::In { .. }) => raise.push(Change::In { name, weight }),
                    Some(Share::Drained | Share::Out) | None => {
                        plan.prove.push(name.clone());
                        raise.push(Change::In { name, weight });
                    }
                },
                (Traffic::Gone, None) => {}
                // It was added without traffic, and stays so.
                (Traffic::Out, None) => plan.empty.push(name),
                (Traffic::Out | Traffic::Gone, Some(seen)) => {
                    plan.empty.push(name.clone());
                    if wanted.traffic == Traffic::Gone {
                        plan.gone.push(name.clone());
                    }
                    match seen.share {
                        // Draining it would give it requests again.
                        Share::Out => {}
                        Share::In { .. } | Share::Drained if wish.linger.is_zero() => {
                            out.push(Change::Out { name });
                        }
                        Share::In { .. } | Share::Drained => {
                            plan.linger.push(name.clone());
                            out.push(Change::Drain { name });
                        }
                    }
                }
            }
        }
        let others_serve = still_serving(view, wish);
        if wish.strict {
            guard(target, view, wish, others_serve)?;
        }
        plan.flip = lower;
        // Lower before raise. But while nobody else answers, the new ones come first.
        let (first, second) = if others_serve { (out, raise) } else { (raise, out) };
        plan.flip.extend(first);
        plan.flip.extend(second);
        Ok(plan)
    }

    /// Whether the balancer knows this server, at this address; or can be told.
    fn known(
        &mut self,
        target: &Target,
        view: &View,
        seen: Option<&Seen>,
        wanted: &Wanted,
    ) -> Result<(), Fault> {
        let name = &wanted.name;
        match (seen, wanted.address) {
            (None, _) if wanted.traffic == Traffic::Gone => Ok(()),
            (None, Some(address)) => {
                self.add.push((name.clone(), address));
                Ok(())
            }
            (None, None) => Err(Fault::router(format!(
                "'{}' has no server '{name}': {}. Give it its name in the balancer's configuration, or \
                 give the group's router a `port`, so that servers can be added",
                target.name(),
                instead(name, &view.names())
            ))),
            (Some(seen), Some(wanted)) if seen.address.is_some_and(|known| known != wanted) => {
                let known = seen.address.map(|known| known.to_string()).unwrap_or_default();
                Err(Fault::router(format!(
                    "server '{name}' of '{}' is {known} for the balancer, and {wanted} for the group: \
                     correct one of the two",
                    target.name()
                )))
            }
            (Some(_), _) => Ok(()),
        }
    }
}

/// Whether a server answers now that this wish does not take out.
fn still_serving(view: &View, wish: &Wish) -> bool {
    let stays = |seen: &&Seen| {
        let order = wish.servers.iter().find(|wanted| wanted.name == seen.name);
        order.is_none_or(|wanted| matches!(wanted.traffic, Traffic::In { .. }))
    };
    view.servers.iter().filter(stays).any(Seen::serves)
}

/// Nobody takes the last answering server out by mistake. Taking out all of them is a decision: whoever
/// names every server of the backend knows that it will be empty.
fn guard(target: &Target, view: &View, wish: &Wish, others_serve: bool) -> Result<(), Fault> {
    let order = |seen: &Seen| wish.servers.iter().find(|wanted| wanted.name == seen.name);
    let goes = |seen: &&Seen| order(seen).is_some_and(|w| !matches!(w.traffic, Traffic::In { .. }));
    let brings = wish.servers.iter().any(|wanted| matches!(wanted.traffic, Traffic::In { .. }));
    let takes: Vec<&str> = view
        .servers
        .iter()
        .filter(goes)
        .filter(|seen| seen.serves())
        .map(|seen| seen.name.as_str())
        .collect();
    let named_all = view.servers.iter().all(|seen| order(seen).is_some());
    if takes.is_empty() || others_serve || brings || named_all || wish.may_empty {
        return Ok(());
    }
    let left: Vec<String> = view
        .servers
        .iter()
        .filter(|seen| order(seen).is_none())
        .map(|seen| format!("{} is {}", seen.name, seen.words))
        .collect();
    Err(Fault::router(format!(
        "taking out {} would leave nobody in '{}' to answer: {}. Bring one of them in first",
        takes.join(", "),
        target.name(),
        left.join("; ")
    )))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
