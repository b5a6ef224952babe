//! What the core decides, step by step.

mod cancelling;
mod documents;
mod durability;
mod elsewhere;
mod living;
mod requests;
mod reserving;
mod serving;
