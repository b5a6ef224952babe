//! What the core decides, step by step.

mod cancelling;
mod documents;
mod durability;
mod requests;
mod reserving;
mod serving;
