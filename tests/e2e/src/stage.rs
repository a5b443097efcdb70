use std::process::ExitCode;
use std::time::Instant;

/// What a scenario ends with: nothing, or what was seen instead of what was expected.
pub type Outcome = Result<(), String>;
/// A scenario and its name.
pub type Scenario<T> = (&'static str, fn(&mut T) -> Outcome);

/// Sets the stage, plays `chosen` of `all` scenarios in their order, and reports like a test harness; `log` gives the last lines
/// of what the stage said, for when one fails.
pub fn play<T>(
    all: usize,
    chosen: &[&Scenario<T>],
    set: impl FnOnce() -> Result<T, String>,
    log: impl FnOnce(&T) -> String,
) -> ExitCode {
    println!("\nrunning {} tests", chosen.len());
    if chosen.is_empty() {
        println!("\ntest result: ok. 0 passed; 0 failed; {all} filtered out");
        return ExitCode::SUCCESS;
    }
    let started = Instant::now();
    let mut stage = match set() {
        Ok(stage) => stage,
        Err(error) => {
            println!(
                "test start ... FAILED\n{error}\n\ntest result: FAILED. 0 passed; {} failed",
                chosen.len()
            );
            return ExitCode::FAILURE;
        }
    };
    println!("  started in {:.1} s", started.elapsed().as_secs_f64());
    let mut failed = Vec::new();
    for (name, scenario) in chosen {
        let started = Instant::now();
        match scenario(&mut stage) {
            Ok(()) => println!("test {name} ... ok ({:.1} s)", started.elapsed().as_secs_f64()),
            Err(error) => {
                println!("test {name} ... FAILED ({:.1} s)\n  {error}", started.elapsed().as_secs_f64());
                failed.push(*name);
            }
        }
    }
    if !failed.is_empty() {
        println!("\nfailures: {}\n\nlast lines of the log:\n{}", failed.join(", "), log(&stage));
    }
    drop(stage);
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; {:.0} s in all",
        chosen.len() - failed.len(),
        failed.len(),
        started.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
