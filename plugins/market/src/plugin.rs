use haggle_sdk::{
    Answering, Fault, Plugin, Ranking, Selling,
    answering::{Answer, Inquiry},
    market::{Bid, Request},
    metadata::Description,
    selling::ComputeUnit,
    types::Context,
};

use crate::{Configuration, amounts::validate, answer, bids, rank};

/// The plugin.
#[derive(Debug)]
pub struct Market;

impl Plugin for Market {
    fn describe() -> Description {
        Description {
            name: "market".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Accepts what capacity and dependencies can carry and counters with less, bids by the dominant share, and ranks by performance, price and risk of interruption.".into(),
            configuration_schema: Configuration::default().schema(),
        }
    }

    fn validate_configuration(configuration: &str) -> Result<(), String> {
        Configuration::parse(configuration).map(drop)
    }
}

impl Answering for Market {
    fn respond(ctx: &Context, inquiries: &[Inquiry]) -> Vec<Result<Answer, Fault>> {
        match Configuration::read(ctx) {
            Ok(configuration) => inquiries.iter().map(|i| answer(i, &configuration)).collect(),
            Err(fault) => inquiries.iter().map(|_| Err(fault.clone())).collect(),
        }
    }
}

impl Selling for Market {
    fn make_bids(
        ctx: &Context,
        request: &Request,
        inventory: &[ComputeUnit],
    ) -> Result<Vec<Bid>, Fault> {
        validate("request.resources", &request.resources)?;
        Ok(bids(request, inventory, &Configuration::read(ctx)?))
    }
}

impl Ranking for Market {
    fn rank(ctx: &Context, request: &Request, bids: &[Bid]) -> Result<Vec<f64>, Fault> {
        Ok(rank(request, bids, &Configuration::read(ctx)?))
    }
}
