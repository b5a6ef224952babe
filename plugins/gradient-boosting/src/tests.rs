use crate::GradientBoosting;

mod boosting;
mod bounds;

haggle_forecasting::contract_tests!(GradientBoosting);
