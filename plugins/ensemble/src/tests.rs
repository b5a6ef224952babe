use crate::Ensemble;

mod confidence;
mod coverage;
mod events;
mod selection;

haggle_forecasting::contract_tests!(Ensemble);
