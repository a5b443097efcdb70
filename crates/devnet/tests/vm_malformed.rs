//! Bytes that are no good module are refused, or run into an error: never a panic, never without end.

mod vm_support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use devnet::vm::{Limits, Publication, Session, Vm};
use proptest::prelude::*;
use sui_sdk_types::Address;
use vm_support::{Memory, STD, SUI, context, framework_modules, id, with_framework};

const PACKAGE: Address = Address::from_static("0xbad");

static FRAMEWORK: LazyLock<Memory> = LazyLock::new(with_framework);
static VM: LazyLock<Vm> = LazyLock::new(Vm::new);
static MODULES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let probe = ["data", "numbers", "objects"].map(|name| {
        let path = format!("{}/tests/oracle/probe/build/{name}.mv", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).expect("the probe is there")
    });
    framework_modules().into_iter().map(|(_, bytes)| bytes).chain(probe).collect()
});

/// Publishes modules and, if that works, calls what it can of them.
fn exercise(modules: Vec<Vec<u8>>) -> bool {
    let limits = Limits { instructions: 20_000, ..Limits::default() };
    let mut session = Session::new(&VM, &*FRAMEWORK, context(), limits);
    let publication = Publication {
        id: PACKAGE,
        original: PACKAGE,
        modules,
        linkage: BTreeMap::from([(STD, STD), (SUI, SUI)]),
        type_origins: BTreeMap::new(),
    };
    let Ok(published) = session.publish(publication) else { return false };
    let _ = session.initialize(&published, PACKAGE);
    for module in published.modules.keys() {
        for function in FUNCTIONS {
            let mut session = Session::new(&VM, &*FRAMEWORK, context(), limits);
            let publication = Publication {
                id: PACKAGE,
                original: PACKAGE,
                modules: published.modules.values().map(|bytes| bytes.to_vec()).collect(),
                linkage: BTreeMap::from([(STD, STD), (SUI, SUI)]),
                type_origins: BTreeMap::new(),
            };
            if session.publish(publication).is_err() {
                continue;
            }
            let name = id(function);
            let Ok(info) = session.function(PACKAGE, module, &name, &[]) else { continue };
            let args: Vec<Vec<u8>> = info
                .params
                .iter()
                .filter(|param| !param.is_tx_context)
                .map(|param| match param.ty {
                    sui_sdk_types::TypeTag::Vector(_) => vec![2; 80],
                    _ => vec![1; 8],
                })
                .collect();
            let _ = vm_support::call(&mut session, PACKAGE, module.as_str(), function, &[], &args);
            let _ = session.finish();
        }
    }
    true
}

/// Functions of the probe; those that a mutation leaves callable are called.
const FUNCTIONS: [&str; 20] = [
    "bytes",
    "compare_u256",
    "constants",
    "deep",
    "extract",
    "fail_deeply",
    "field",
    "field_keys",
    "fresh",
    "generic_bytes",
    "library",
    "line",
    "maybe",
    "nested",
    "object_field",
    "on_u64",
    "shape_grow",
    "shape_size",
    "table",
    "u256_to_u8",
];

/// The probe with one of its modules changed.
fn probe_with(index: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Vec<u8>> {
    let mut modules: Vec<Vec<u8>> = MODULES.iter().rev().take(3).rev().cloned().collect();
    change(&mut modules[index]);
    modules
}

#[test]
fn the_probe_itself_is_accepted() {
    assert!(exercise(probe_with(0, |_| {})));
}

#[test]
fn a_truncated_module_is_refused() {
    let module = &MODULES[0];
    for length in 0..module.len() {
        assert!(devnet::vm::module_name(&module[..length]).is_err(), "{length}");
    }
    let mut longer = module.clone();
    longer.push(0);
    assert!(devnet::vm::module_name(&longer).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn mutated_framework_modules_never_panic(
        which in 0..86usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut memory = with_framework();
        let ((package, name), bytes) = {
            let at = which % memory.modules.len();
            memory.modules.iter().nth(at).map(|(key, bytes)| (key.clone(), bytes.to_vec())).expect("in range")
        };
        let mut module = bytes;
        for (at, byte) in changes {
            let at = at.index(module.len());
            module[at] = byte;
        }
        memory.modules.insert((package, name.clone()), module.into());
        let vm = Vm::new();
        let mut session = Session::new(&vm, &memory, context(), Limits { instructions: 20_000, ..Limits::default() });
        let _ = session.function(package, &name, &id("no_such_function"), &[]);
        // Some code that uses much of the framework.
        let coin = bcs::to_bytes(&([9u8; 32], 1000u64)).expect("encodable");
        let types = ["0x2::sui::SUI".parse().expect("a type")];
        let _ = vm_support::call(&mut session, SUI, "coin", "split", &types, &[coin, vec![1; 8]]);
        let _ = vm_support::call(&mut session, SUI, "address", "to_string", &[], &[vec![1; 32]]);
    }

    #[test]
    fn a_mutated_probe_runs_into_errors_only(
        which in 0..3usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..0x57u8), 1..3),
    ) {
        exercise(probe_with(which, |module| {
            for (at, byte) in changes {
                // The last third is code; what is before it is refused early when it is changed.
                let code = module.len() * 2 / 3;
                let at = code + at.index(module.len() - code);
                module[at] = byte;
            }
        }));
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(devnet::vm::module_name(&bytes).is_err());
        let mut magic = vec![0xa1, 0x1c, 0xeb, 0x0b, 6, 0, 0, 0];
        magic.extend(bytes);
        let _ = devnet::vm::module_name(&magic);
    }
}
