#![allow(clippy::all, clippy::print_stdout, missing_docs)]
use haggle_simulate::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a[1] == "trace" { for l in trace(&Options::default(), a[2].parse().unwrap()).unwrap() { println!("{l}"); } return; }
    let seeds = a[1].parse().unwrap(); let first_seed = a.get(2).map_or(0, |s| s.parse().unwrap());
    std::panic::set_hook(Box::new(|_| {}));
    let t = std::time::Instant::now();
    let r = run(&Options { seeds, first_seed, ..Options::default() }, &|_| {}).unwrap();
    let mut by = std::collections::BTreeMap::<_, Vec<u64>>::new();
    for v in &r.found { by.entry(v.rule).or_default().push(v.seed); }
    for v in r.found.iter() { println!("seed {} step {} {:?}: {}\n    needs {}", v.seed, v.step, v.rule, v.text.chars().take(900).collect::<String>(), v.needs); }
    for (k, v) in by { println!("{k:?}: {} {:?}", v.len(), &v[..v.len().min(12)]); }
    let mut r = r; r.found.clear();
    println!("{r:?}\n{:?}", t.elapsed());
}
