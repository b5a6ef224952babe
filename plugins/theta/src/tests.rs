use crate::{DynamicTheta, Theta};

mod reference;
mod rolling;

haggle_forecasting::contract_tests!(Theta);
haggle_forecasting::method_tests!(DynamicTheta);
