use crate::GradientBoosting;

mod boosting;
mod bounds;
mod histograms;

haggle_forecasting::contract_tests!(GradientBoosting);
