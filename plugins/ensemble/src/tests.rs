use crate::Ensemble;

mod confidence;
mod coverage;
mod events;
mod seasons;
mod selection;
mod weights;

haggle_forecasting::contract_tests!(Ensemble);
