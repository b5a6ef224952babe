use crate::DecompositionPolicy;

mod parts;

haggle_forecasting::contract_tests!(DecompositionPolicy);
