mod coverage;
mod hostile;
mod policy;
mod recursions;
