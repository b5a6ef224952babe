mod confidence;
mod contract;
mod coverage;
mod events;
mod selection;
