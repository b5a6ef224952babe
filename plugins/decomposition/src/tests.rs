mod contract;
mod parts;
