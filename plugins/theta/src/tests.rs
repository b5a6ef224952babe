use crate::{DynamicTheta, Theta};

mod reference;

haggle_forecasting::contract_tests!(Theta);
haggle_forecasting::method_tests!(DynamicTheta);
