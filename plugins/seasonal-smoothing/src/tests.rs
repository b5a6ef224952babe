use crate::{SeasonalSmoothing, Smoothing};

mod coverage;
mod hostile;
mod recursions;
mod resuming;

haggle_forecasting::contract_tests!(SeasonalSmoothing);
haggle_forecasting::method_tests!(Smoothing);
