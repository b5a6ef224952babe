//! Negotiation sessions, market clearing and the capacity ledger, without I/O, clocks or threads.
//!
//! - [`Spread`] propagates a load down the dependency graph.
//! - [`Ledger`] records who has leased whose capacity. It never promises the same capacity twice.
//! - [`clear`] determines the winners among the bids of providers.
//! - [`Session`] is one negotiation: a state machine that consumes inputs and returns the outputs to carry
//!   out.
//! - [`Engine`] runs any number of concurrent sessions with local and remote parties. It exchanges
//!   [`Message`]s, retries them and survives crashes. [`local_reply`] answers the messages to local parties
//!   that need no policy.
//!
//! # Limitations
//!
//! - The ledger keeps one capacity per owner. That capacity applies to all future time until it is changed.
//! - Replicas share the units of one kind as a pool. The ledger does not check that they can be packed onto
//!   single machines; it only checks that each replica fits into one unit.

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
pub use spread::{Edge, Share, Spread, SpreadError, cycle_gain_from};
pub use transcript::{Said, Transcript};
pub use wire::{Call, Content, DecodeError, Information, Message, MessageId, Party, Proposed};
pub use world::{Context, Placements, Snapshot, World, leased_replicas, service_capacity};
