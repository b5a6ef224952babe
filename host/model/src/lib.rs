//! The domain types of Haggle: resources, services, providers, the dependency graph, policies, events,
//! leases and decisions. All of them are plain data with invariants. Nothing here performs I/O or reads a
//! clock.
//!
//! JSON and YAML use `snake_case` for fields and values; WIT writes the same words with hyphens.

mod amount;
mod calendar;
mod decision;
mod document;
mod endpoint;
mod graph;
mod lease;
mod name;
mod policy;
mod provider;
mod quantity;
mod resource;
mod series;
mod service;
mod strict;
mod text;
mod time;

#[cfg(test)]
mod tests;

pub use amount::{Advice, InvalidAmount};
pub use calendar::{CalendarError, CalendarEvent, EventKind, EventTime};
pub use decision::{Bound, Decision, ScalingReason};
pub use document::{DependencyDocument, Document};
pub use endpoint::{Credentials, Endpoint, EndpointHost, InvalidEndpoint};
pub use graph::{Dependency, DependencyGraph, GraphError, Strength};
pub use lease::{Account, InvalidLeaseId, Lease, LeaseId, LeaseState, Owner};
pub use name::{InvalidName, Name};
pub use policy::{
    Alternative, AnsweringPolicy, ColdStart, FailurePredictionPolicy, ForecastingPolicy,
    NegotiationPolicy, PolicyError, RankingPolicy, ScalingLimits, ScalingPolicy, TieringPolicy,
};
pub use provider::{ComputeUnit, Provider, ProviderError};
pub use quantity::{InvalidQuantity, Quantities};
pub use resource::Resource;
pub use series::Series;
pub use service::{Objective, Replica, Replicas, Service, ServiceError, Tier};
pub use strict::Strict;
pub use text::{InvalidLabel, MOST_LABEL, bounded_text, concise, escaped};
pub use time::{InvalidTime, Span, Timestamp, Window};
