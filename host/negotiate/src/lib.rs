//! Negotiation sessions, market clearing and the capacity ledger, without I/O, clocks or threads.
//!
//! - [`Spread`] runs a load down the dependency graph.
//! - [`Ledger`] knows who has leased whose capacity, and never promises any of it twice.
//! - [`clear`] determines the winners among the bids of providers.
//! - [`Session`] is one negotiation: a state machine that takes in what has happened and says what is
//!   to be done next.
//! - [`Engine`] runs any number of sessions at once with parties that may be anywhere: it speaks
//!   [`Message`]s, repeats them, and survives crashes. [`local_reply`] answers what needs no policy for
//!   parties in this process.
//!
//! # Limitations
//!
//! - Capacity is a number until it is changed: an owner has the same at every moment ahead.
//! - Replicas share the units of one kind as a pool. That they can be packed onto single machines is not
//!   checked, except that each fits into one.

mod calendar;
mod cycle;
mod demand;
mod engine;
mod ledger;
mod local;
mod market;
mod outcome;
mod protocol;
mod session;
mod spread;
mod steps;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transcript;
mod wire;
mod world;

pub use demand::{Demand, DemandError};
pub use engine::{
    Agreed, Effect, Ending, Engine, EngineOptions, MessageError, OpenError, Persist, Retry,
    SessionRecord, Setting,
};
pub use ledger::{Begun, Commitment, Hold, Ledger, LedgerError, Overcommitment};
pub use local::local_reply;
pub use market::{
    Allocation, Clearing, Order, RefusedBid, ScoredBid, admit, clear, clear_in_turn,
    clear_together, room,
};
pub use outcome::{AgreedService, Agreement, Outcome, Reason};
pub use protocol::{
    Answer, Ask, Asks, Bid, Guarantees, Inquiry, Inventory, InventoryUnit, Offer, Purpose, Request,
};
pub use session::{Fault, Input, Output, Session};
pub use spread::{Edge, Share, Spread, SpreadError, cycle_gain};
pub use transcript::{Said, Transcript};
pub use wire::{Call, Content, DecodeError, Information, Message, MessageId, Party, Proposed};
pub use world::{Context, Placements, Snapshot, World, leased_replicas, service_capacity};
