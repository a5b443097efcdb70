use std::path::Path;

use economics::{Assumptions, Attack, Params, Report};
use serde_json::json;

use super::Context;
use crate::cli::{Economics, Output, Simulate};
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// `k3s-daas simulate`: no chain, no cluster, only numbers.
pub(crate) fn run(context: &Context, command: Simulate) -> Result<()> {
    let Simulate::Economics(args) = command;
    let assumed = assumptions(args.assumptions.as_deref())?;
    let mut params = Params::recommended();
    if let Some(node_minimum) = args.node_minimum {
        params.node_minimum = node_minimum;
    }
    if context.global.output == Output::Json {
        return verdicts(&args, &params, &assumed);
    }
    let plots_dir = args.out.as_deref().map_or("economics".into(), plots_name);
    say(format_args!("playing {} attacks, {} runs each at every stake", Attack::ALL.len(), args.runs));
    let report = economics::report(&params, &assumed, args.runs, args.seed, &plots_dir);
    match &args.out {
        Some(out) => write(out, &report),
        None => print(Output::Text, &report.page, String::clone),
    }
}

/// The assumptions in `file`, checked; without one the defaults.
pub(crate) fn assumptions(file: Option<&Path>) -> Result<Assumptions> {
    let Some(file) = file else { return Ok(Assumptions::default()) };
    let named = || format!("reading the assumptions in {}", file.display());
    let text = std::fs::read_to_string(file).context(named())?;
    let assumed: Assumptions =
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", named())))?;
    assumed.check().map_err(|wrong| Failure::usage(format!("{}: {wrong}", named())))?;
    Ok(assumed)
}

fn verdicts(args: &Economics, params: &Params, assumed: &Assumptions) -> Result<()> {
    let attacks: Vec<_> = Attack::ALL
        .into_iter()
        .map(|attack| {
            let advantage = attack.advantage(params, assumed, args.runs, args.seed);
            json!({
                "attack": attack.name(),
                "advantageUsd": advantage.mean,
                "errorUsd": advantage.error,
                "winningShare": advantage.winning,
                "pays": advantage.pays(),
            })
        })
        .collect();
    let answer = json!({
        "days": economics::DAYS,
        "runs": args.runs,
        "seed": args.seed,
        "params": params,
        "assumptions": assumed,
        "attacks": attacks,
    });
    print(Output::Json, &answer, |_| String::new())
}

fn write(out: &Path, report: &Report) -> Result<()> {
    let plots = out.with_file_name(plots_name(out));
    std::fs::create_dir_all(&plots).context(format_args!("creating {}", plots.display()))?;
    for (name, svg) in &report.plots {
        let file = plots.join(name);
        std::fs::write(&file, svg).context(format_args!("writing {}", file.display()))?;
    }
    std::fs::write(out, &report.page).context(format_args!("writing {}", out.display()))?;
    say(format_args!("wrote {} and {} plots in {}", out.display(), report.plots.len(), plots.display()));
    Ok(())
}

/// Where the plots of a page lie: `economics` for `economics.md`.
fn plots_name(out: &Path) -> String {
    out.file_stem().map_or("economics".into(), |stem| stem.to_string_lossy().into_owned())
}
