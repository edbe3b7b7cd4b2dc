//! How much goes wrong, in permille of the occasions there are for it.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// A word is lost, and said again later.
    pub lost: u32,
    pub doubled: u32,
    /// The controller dies around a commit.
    pub crash: u32,
    /// A second controller decides on an old state and tries to save it.
    pub rival: u32,
    /// Work on a host fails.
    pub work_fails: u32,
    /// The balancer does not do what it is told.
    pub route_fails: u32,
    /// Per look at the fleet: an agent falls silent for a while, or restarts.
    pub silent: u32,
    /// Of those that fall silent: never come back.
    pub gone: u32,
    /// Somebody intervenes.
    pub people: u32,
    /// The new revision is bad, and monitors say so once it has traffic.
    pub bad: u32,
    /// A monitor has nothing to say.
    pub no_data: u32,
}

impl Faults {
    pub const NONE: Faults = Faults {
        lost: 0,
        doubled: 0,
        crash: 0,
        rival: 0,
        work_fails: 0,
        route_fails: 0,
        silent: 0,
        gone: 0,
        people: 0,
        bad: 0,
        no_data: 0,
    };

    pub const DEFAULT: Faults = Faults {
        lost: 50,
        doubled: 80,
        crash: 8,
        rival: 10,
        work_fails: 25,
        route_fails: 15,
        silent: 30,
        gone: 100,
        people: 30,
        bad: 150,
        no_data: 100,
    };

    pub const HEAVY: Faults = Faults {
        lost: 250,
        doubled: 250,
        crash: 60,
        rival: 60,
        work_fails: 120,
        route_fails: 100,
        silent: 150,
        gone: 200,
        people: 120,
        bad: 400,
        no_data: 300,
    };
}
