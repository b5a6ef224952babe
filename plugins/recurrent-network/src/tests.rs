mod contract;
mod learning;
