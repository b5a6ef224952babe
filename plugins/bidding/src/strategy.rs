use std::marker::PhantomData;

use haggle_sdk::{
    Bidder, Fault, Policy,
    bidding::{Answer, Bid, ComputeUnit, Inquiry, Request},
    metadata::Description,
    types::Context,
};

use crate::{Configuration, amounts::validate, answer, bids, rank};

/// A way to bid: a name and its settings.
pub trait Strategy {
    /// The plugin's name.
    const NAME: &'static str;
    /// One or two sentences.
    const SUMMARY: &'static str;

    /// The settings where the operator says nothing.
    fn defaults() -> Configuration;
}

/// The policy that follows a strategy.
#[derive(Debug)]
pub struct Bidding<S>(PhantomData<S>);

impl<S: Strategy> Bidding<S> {
    fn configuration(ctx: &Context) -> Result<Configuration, Fault> {
        Configuration::read(ctx, S::defaults())
    }
}

impl<S: Strategy> Policy for Bidding<S> {
    fn describe() -> Description {
        Description {
            name: S::NAME.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: S::SUMMARY.into(),
            configuration_schema: S::defaults().schema(),
        }
    }
}

impl<S: Strategy> Bidder for Bidding<S> {
    fn respond(ctx: &Context, inquiries: &[Inquiry]) -> Vec<Result<Answer, Fault>> {
        match Self::configuration(ctx) {
            Ok(configuration) => inquiries.iter().map(|i| answer(i, &configuration)).collect(),
            Err(fault) => inquiries.iter().map(|_| Err(fault.clone())).collect(),
        }
    }

    fn make_bids(
        ctx: &Context,
        request: &Request,
        inventory: &[ComputeUnit],
    ) -> Result<Vec<Bid>, Fault> {
        validate("request", &request.resources)?;
        Ok(bids(request, inventory, &Self::configuration(ctx)?))
    }

    fn rank(ctx: &Context, request: &Request, bids: &[Bid]) -> Result<Vec<f64>, Fault> {
        Ok(rank(request, bids, &Self::configuration(ctx)?))
    }
}
