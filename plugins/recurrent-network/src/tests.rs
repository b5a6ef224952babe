use crate::RecurrentNetwork;

mod learning;

haggle_forecasting::contract_tests!(RecurrentNetwork);
