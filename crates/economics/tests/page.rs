//! `docs/economics.md` is what the program says.

use std::path::Path;

use economics::{Assumptions, Params, report};

const RUNS: u32 = 200;
const SEED: u64 = 1;

#[test]
fn the_committed_report_is_what_the_program_writes() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let made = report(&Params::recommended(), &Assumptions::default(), RUNS, SEED, "economics");
    let remedy = "write it anew: k3s-daas simulate economics --out docs/economics.md";
    let page = std::fs::read_to_string(docs.join("economics.md")).expect(remedy);
    assert_eq!(page, made.page, "{remedy}");
    for (name, svg) in made.plots {
        let kept = std::fs::read_to_string(docs.join("economics").join(name)).expect(remedy);
        assert!(kept == svg, "{name} differs; {remedy}");
    }
}
