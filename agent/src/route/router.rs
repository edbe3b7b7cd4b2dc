//! What every driver of a balancer can do. [`super::apply`] decides when.

use super::fault::Fault;
use pipelines::protocol::answer::{Check, Counters};
use pipelines::protocol::route::Traffic;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A balancer, seen from its own host.
///
/// No method hopes: what cannot be told to the balancer, or read from it, is a fault.
pub trait Router: Send {
    /// Everything the balancer says of its servers now.
    fn look(&mut self) -> impl Future<Output = Result<View, Fault>> + Send;

    /// Makes sure that the balancer does what it says of its servers, where these are two things. True
    /// when something had to be done for it.
    fn settle(&mut self) -> impl Future<Output = Result<bool, Fault>> + Send;

    /// Makes a server known, without traffic.
    fn add(
        &mut self,
        name: &str,
        address: SocketAddr,
    ) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Lets the balancer check servers that are without traffic, from the beginning: a good answer of
    /// an earlier life counts for nothing. They stay without traffic.
    fn prove(&mut self, names: &[String]) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Changes what servers get, in this order, as near to one instant as the balancer can.
    fn shift(&mut self, changes: &[Change]) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Ends what is open at these servers, and says how many requests that were.
    fn cut(
        &mut self,
        names: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, u32>, Fault>> + Send;

    /// What it has counted for these servers; those it does not know are left out.
    fn count(&mut self, names: &[String]) -> impl Future<Output = Result<Counters, Fault>> + Send;
}

/// One look at a balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Another one after every start and every reload.
    pub life: String,
    pub servers: Vec<Seen>,
}

/// A server, as the balancer has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    /// None: it is no address, or one the balancer keeps to itself.
    pub address: Option<SocketAddr>,
    pub share: Share,
    pub check: Check,
    /// Requests that are open or queued for it.
    pub in_flight: u32,
    /// For people: `DRAIN, weight 10, L7STS/503`.
    pub words: String,
}

/// What a server gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    In {
        weight: u16,
    },
    /// Nothing new, except from clients that stick to it.
    Drained,
    /// Nothing.
    Out,
}

/// One step from one share to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    In {
        name: String,
        weight: u16,
    },
    Drain {
        name: String,
    },
    Out {
        name: String,
    },
    /// The balancer forgets a server that is out.
    Gone {
        name: String,
    },
}

impl Change {
    pub fn name(&self) -> &str {
        match self {
            Change::In { name, .. }
            | Change::Drain { name }
            | Change::Out { name }
            | Change::Gone { name } => name,
        }
    }
}

impl View {
    pub fn server(&self, name: &str) -> Option<&Seen> {
        self.servers.iter().find(|seen| seen.name == name)
    }

    pub fn names(&self) -> Vec<&str> {
        self.servers.iter().map(|seen| seen.name.as_str()).collect()
    }
}

impl Seen {
    /// Whether requests reach it now and are answered.
    pub fn serves(&self) -> bool {
        matches!(self.share, Share::In { .. }) && self.is_green()
    }

    /// Whether nothing the balancer knows speaks against it.
    pub fn is_green(&self) -> bool {
        match self.check {
            Check::Up | Check::None => true,
            Check::Down { .. } => false,
        }
    }

    /// In the words of the protocol, which knows no half ways: what is drained is out.
    pub fn traffic(&self) -> Traffic {
        match self.share {
            Share::In { weight } => Traffic::In { weight },
            Share::Drained | Share::Out => Traffic::Out,
        }
    }
}
