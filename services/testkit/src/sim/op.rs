//! What happens in a run, as data: a list of these and a seed are a run. Numbers name what exists by its place, modulo how
//! many there are, so that a list from which lines were taken still means something.

pub use super::faulty::Fault;

/// One thing that happens. A *line* is one direction of a link: twice the link, plus one from the destination to the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A state grants, suspends or reinstates its licence of an agency.
    Licence {
        /// Link.
        link: u8,
        /// Agency.
        agency: u8,
        /// By the origin, else by the destination.
        by_origin: bool,
        /// Active from now on.
        active: bool,
    },
    /// The destination makes or changes a job order.
    Order {
        /// Link.
        link: u8,
        /// Order.
        order: u8,
        /// Seats.
        seats: u8,
        /// Takes nominations.
        open: bool,
        /// Wage, cents.
        wage: u16,
    },
    /// The origin registers a worker and a placement.
    Worker {
        /// Link.
        link: u8,
        /// Order.
        order: u8,
        /// Agency, 0 for none, else one less.
        agency: u8,
    },
    /// The origin chooses anew, before it nominates.
    Choose {
        /// Placement.
        placement: u8,
        /// Order.
        order: u8,
        /// As in [`Op::Worker`].
        agency: u8,
    },
    /// A transition or fact, by the side whose it is.
    Act {
        /// Placement.
        placement: u8,
        /// Name in the lifecycle.
        act: &'static str,
    },
    /// The destination authors a contract.
    Contract {
        /// Placement.
        placement: u8,
        /// Wage, cents.
        wage: u16,
    },
    /// A consulate captured something: a contract of this wage, or for 0 a confirmation.
    Capture {
        /// Placement.
        placement: u8,
        /// Wage, cents.
        wage: u16,
    },
    /// The consulate's device syncs.
    Caseload {
        /// Link.
        link: u8,
    },
    /// A state's last request comes again, with its request id.
    Again {
        /// State.
        state: u8,
    },
    /// The next requests come at the same moment: one group of the writer.
    Together {
        /// How many.
        count: u8,
    },
    /// A new session: HELLO of the holder reaches the issuer.
    Greet {
        /// Line.
        line: u8,
    },
    /// The issuer sends its next batch.
    Send {
        /// Line.
        line: u8,
    },
    /// The holder takes a batch that is under way.
    Take {
        /// Line.
        line: u8,
        /// Which batch, the oldest first.
        which: u8,
        /// By the session that was there before the last HELLO.
        old: bool,
        /// It comes again later.
        keep: bool,
    },
    /// The issuer takes a cosignature that is under way.
    Settle {
        /// Line.
        line: u8,
        /// Which one.
        which: u8,
        /// It comes again later.
        keep: bool,
    },
    /// The line breaks: what is under way is lost.
    Cut {
        /// Line.
        line: u8,
    },
    /// The holder judges.
    Judge {
        /// Line.
        line: u8,
    },
    /// The timer of the issuer's quiet log.
    Quiet {
        /// Line.
        line: u8,
    },
    /// Everything under way on one link goes its way, once each.
    Exchange {
        /// Link.
        link: u8,
    },
    /// Time passes.
    Wait {
        /// Seconds.
        seconds: u32,
    },
    /// The next thing meets this fault in one state's database, and that state's process may end before it answers.
    Meet {
        /// State.
        state: u8,
        /// Fault.
        fault: Fault,
        /// The process ends.
        crash: bool,
    },
    /// A state's roots sign new keys, and its node takes them.
    Keys {
        /// State.
        state: u8,
    },
    /// A state's roots revoke the keys before its last ones.
    Revoke {
        /// State.
        state: u8,
    },
    /// A side orders the erasure of what it issued of a placement.
    Erase {
        /// Placement.
        placement: u8,
        /// By the origin, else by the destination.
        by_origin: bool,
        /// Class of the terms, which are kept for years; else of the person.
        terms: bool,
    },
    /// A side holds what it has of a placement, or ends that.
    Hold {
        /// Placement.
        placement: u8,
        /// By the origin, else by the destination.
        by_origin: bool,
        /// For so many days; 0 ends it.
        days: u8,
    },
    /// A state looks for what is due to be erased.
    Retention {
        /// State.
        state: u8,
    },
    /// A state's files are copied.
    Backup {
        /// State.
        state: u8,
    },
    /// A state's disk is lost, and it recovers from its partners.
    Lose {
        /// State.
        state: u8,
        /// With its last backup, if it made one.
        backup: bool,
        /// What goes wrong on the way: nothing, a challenge that nobody signs, a lost answer, half an answer, a crash
        /// before the epoch is open.
        broken: u8,
    },
    /// A state takes the second version of its agreements, which all have ratified; its partners hold it from then on.
    Amend {
        /// State.
        state: u8,
    },
    /// A state's roots suspend its agreements, or withdraw that.
    Suspend {
        /// State.
        state: u8,
    },
    /// A state's process ends and starts again.
    Crash {
        /// State.
        state: u8,
    },
}
