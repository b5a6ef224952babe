//! Tests of the core, step by step.

mod cancelling;
mod consulting;
mod documents;
mod durability;
mod elsewhere;
mod living;
mod random;
mod requests;
mod reserving;
mod serving;
mod stability;
mod waiting;
