//! The proof: what was wanted against what the balancer says.

use super::fault::Fault;
use super::order::Wish;
use super::router::{Share, View};
use pipelines::protocol::answer::{Check, ServerState};
use pipelines::protocol::route::Traffic;
use std::collections::BTreeMap;

/// What the balancer says in the end, which must be what was wanted.
pub fn read_back(
    after: &View,
    wish: &Wish,
    cut: &BTreeMap<String, u32>,
) -> Result<Vec<ServerState>, Fault> {
    let mut states = Vec::with_capacity(wish.servers.len());
    for wanted in &wish.servers {
        let name = wanted.name.clone();
        let cut = cut.get(&name).copied().unwrap_or(0);
        let seen = after.server(&name);
        let so = match (wanted.traffic, seen.map(|seen| seen.share)) {
            (Traffic::In { weight }, Some(Share::In { weight: found })) => weight == found,
            (Traffic::Out, Some(Share::Out)) | (Traffic::Gone, None) => true,
            (Traffic::In { .. } | Traffic::Out | Traffic::Gone, _) => false,
        };
        if !so {
            let found = seen.map_or("unknown to it", |seen| &seen.words);
            return Err(Fault::router(format!(
                "the balancer was told that '{name}' is {}, and says that it is {found}: somebody else \
                 changes it, or its configuration does not let it",
                in_words(wanted.traffic)
            )));
        }
        states.push(match seen {
            Some(seen) => ServerState {
                name,
                traffic: seen.traffic(),
                check: seen.check.clone(),
                in_flight: seen.in_flight,
                cut,
            },
            None => {
                ServerState { name, traffic: Traffic::Gone, check: Check::None, in_flight: 0, cut }
            }
        });
    }
    Ok(states)
}

/// For sentences.
/// What a server gets, as it is. One that is drained still answers clients that stick to it; to the
/// rest it is out.
pub fn state(view: &View, name: &str) -> ServerState {
    let Some(seen) = view.server(name) else {
        let (traffic, check) = (Traffic::Gone, Check::None);
        return ServerState { name: name.to_owned(), traffic, check, in_flight: 0, cut: 0 };
    };
    let traffic = match seen.share {
        Share::In { weight } => Traffic::In { weight },
        Share::Drained | Share::Out => Traffic::Out,
    };
    let (check, in_flight) = (seen.check.clone(), seen.in_flight);
    ServerState { name: name.to_owned(), traffic, check, in_flight, cut: 0 }
}

pub fn in_words(traffic: Traffic) -> String {
    match traffic {
        Traffic::In { weight } => format!("in with weight {weight}"),
        Traffic::Out => "out".to_owned(),
        Traffic::Gone => "gone".to_owned(),
    }
}
