//! The interpreter against the real Move VM: the same calls, the same bytes, the same aborts at the same
//! instructions.
//!
//! The other side is `oracle/oracle.py`, which downloads the real VM once. The probe package is
//! `oracle/probe`; `node contracts/tools/build.mjs --package <it> --out <it>/build` compiles it.

mod vm_support;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use devnet::vm::{Primitive, Publication, Session, Vm, VmError};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use sui_sdk_types::{Address, TypeTag};
use vm_support::{Memory, STD, SUI, call, id, session, with_framework};

const PROBE: Address = Address::from_static("0xdada");
/// Seed of the random arguments; printed with every difference.
const SEED: u64 = 20_240_601;

#[derive(Clone, Debug, Serialize)]
struct Case {
    package: Address,
    module: &'static str,
    function: String,
    types: Vec<TypeTag>,
    /// BCS in hex.
    pure: Vec<String>,
    objects: Vec<Object>,
}

#[derive(Clone, Debug, Serialize)]
struct Object {
    object_id: Address,
    type_tag: TypeTag,
    bcs_bytes: String,
    is_shared: bool,
    mutable: bool,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Outcome {
    Returned {
        returned: Vec<String>,
    },
    Failed {
        status: String,
        sub_status: Option<u64>,
        address: Address,
        module: String,
        function: Option<u16>,
        offset: Option<u16>,
    },
    /// The oracle could not run the call.
    Unexplained {
        unexplained: String,
    },
}

#[derive(Serialize)]
struct Request {
    packages: BTreeMap<Address, Vec<String>>,
    cases: Vec<Case>,
}

const INTEGERS: [(&str, usize); 6] =
    [("u8", 1), ("u16", 2), ("u32", 4), ("u64", 8), ("u128", 16), ("u256", 32)];

/// Little-endian integers at and around the limits of a width.
fn limits(width: usize) -> Vec<Vec<u8>> {
    let mut zero = vec![0; width];
    let max = vec![0xff; width];
    let mut almost = max.clone();
    almost[0] = 0xfe;
    let mut top = zero.clone();
    top[width - 1] = 0x80;
    let zero_again = zero.clone();
    zero[0] = 1;
    vec![zero_again, zero, top, almost, max]
}

fn bcs<T: Serialize>(value: &T) -> Vec<u8> {
    bcs::to_bytes(value).expect("encodable")
}

fn probe(module: &'static str, function: impl Into<String>, args: &[Vec<u8>]) -> Case {
    case(PROBE, module, function, &[], args)
}

fn case(
    package: Address,
    module: &'static str,
    function: impl Into<String>,
    types: &[&str],
    args: &[Vec<u8>],
) -> Case {
    Case {
        package,
        module,
        function: function.into(),
        types: types.iter().map(|ty| ty.parse().expect("a type")).collect(),
        pure: args.iter().map(hex::encode).collect(),
        objects: Vec::new(),
    }
}

fn integer_cases() -> Vec<Case> {
    let mut cases = vec![probe("numbers", "literals", &[])];
    for a in [false, true] {
        for b in [false, true] {
            cases.push(probe("numbers", "logic", &[bcs(&a), bcs(&b)]));
        }
    }
    for (name, width) in INTEGERS {
        for a in limits(width) {
            for b in limits(width) {
                for op in 0u8..=8 {
                    cases.push(probe("numbers", format!("on_{name}"), &[vec![op], a.clone(), b.clone()]));
                }
                cases.push(probe("numbers", format!("compare_{name}"), &[a.clone(), b]));
            }
            let bits = (width * 8) as u64;
            for shift in [0, 1, 7, bits - 1, bits, 255] {
                let Ok(shift) = u8::try_from(shift) else { continue };
                for left in [false, true] {
                    let args = [bcs(&left), a.clone(), vec![shift]];
                    cases.push(probe("numbers", format!("shift_{name}"), &args));
                }
            }
        }
        for (to, to_width) in INTEGERS.into_iter().filter(|(to, _)| *to != name) {
            let mut values = limits(width);
            if to_width < width {
                // Around the limit of the narrower type.
                for mut value in limits(to_width) {
                    value.resize(width, 0);
                    values.push(value);
                }
                let mut over = vec![0; width];
                over[to_width] = 1;
                values.push(over);
            }
            for value in values {
                cases.push(probe("numbers", format!("{name}_to_{to}"), &[value]));
            }
        }
    }
    cases
}

fn data_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let three = bcs(&vec![10u64, 20, 30]);
    let none = bcs(&Vec::<u64>::new());
    let data = |function: &str, args: &[Vec<u8>]| probe("data", function, args);
    for v in [&three, &none] {
        cases.push(data("push", &[v.clone(), bcs(&7u64)]));
        cases.push(data("pop", std::slice::from_ref(v)));
        cases.push(data("destroy_empty", std::slice::from_ref(v)));
        cases.push(data("library", &[v.clone(), bcs(&20u64)]));
        for i in [0u64, 2, 3, u64::MAX] {
            cases.push(data("get", &[v.clone(), bcs(&i)]));
            cases.push(data("set", &[v.clone(), bcs(&i), bcs(&99u64)]));
            cases.push(data("swap_remove", &[v.clone(), bcs(&i)]));
            for j in [0u64, 1, 3] {
                cases.push(data("swap", &[v.clone(), bcs(&i), bcs(&j)]));
            }
        }
    }
    for i in [0u64, 1, 2, 3] {
        cases.push(data("bytes", &[bcs(&b"abc".to_vec()), bcs(&i), vec![0x55]]));
        for j in [0u64, 1, 2] {
            let nested = bcs(&vec![vec![1u64], vec![], vec![2, 3]]);
            cases.push(data("nested", &[nested, bcs(&i), bcs(&j), bcs(&5u64)]));
        }
    }
    for bytes in [&b""[..], b"a", b"ab"] {
        cases.push(data("bytes_equal", &[bcs(&bytes.to_vec()), vec![b'a']]));
    }
    cases.push(data("generic_bytes", &[vec![3]]));
    cases.push(data("constants", &[]));
    cases.push(data("hoard", &[bcs(&3u64)]));
    for (a, b) in [(1u64, 2u64), (2, 1), (300, 300), (u64::MAX, 0), (0, u64::MAX)] {
        cases.push(data("line", &[bcs(&a), bcs(&b)]));
        cases.push(data("field_references", &[bcs(&a), bcs(&b)]));
        cases.push(data("fail_if", &[bcs(&a), bcs(&b)]));
        cases.push(data("deep", &[bcs(&a)]));
        cases.push(data("fail", &[bcs(&a)]));
        cases.push(data("fail_cleverly", &[bcs(&a)]));
        cases.push(data("fail_without_code", &[bcs(&a)]));
    }
    for depth in [0u64, 3, 100] {
        cases.push(data("fail_deeply", &[bcs(&depth)]));
    }
    for n in [0u64, 1, 10, 1000] {
        cases.push(data("sum", &[bcs(&n)]));
        cases.push(probe("objects", "across_modules", &[bcs(&n)]));
        for kind in [0u8, 1, 2] {
            for function in ["shape", "shape_size", "shape_grow", "shape_as_circle"] {
                cases.push(data(function, &[vec![kind], bcs(&n)]));
            }
        }
    }
    for (a, b) in [("", ""), ("Zü", "rich"), ("a", "\u{1f980}")] {
        cases.push(data("text", &[bcs(&a), bcs(&b)]));
    }
    cases.push(data("text", &[bcs(&vec![0xffu8]), bcs(&"x")]));
    for (some, x) in [(false, 0u64), (true, 0), (true, 41), (true, u64::MAX)] {
        cases.push(data("maybe", &[bcs(&some), bcs(&x)]));
        cases.push(data("extract", &[bcs(&some)]));
    }
    let values: [(&str, Vec<u8>, Vec<u8>); 8] = [
        ("u8", vec![1], vec![2]),
        ("bool", vec![1], vec![1]),
        ("u256", vec![7; 32], vec![8; 32]),
        ("address", vec![9; 32], vec![9; 32]),
        ("vector<u8>", bcs(&b"xyz".to_vec()), bcs(&b"xyz".to_vec())),
        ("vector<vector<bool>>", bcs(&vec![vec![true], vec![]]), bcs(&vec![vec![true]])),
        ("0x1::string::String", bcs(&"grüezi"), bcs(&"gruezi")),
        ("0x1::option::Option<u128>", bcs(&Some(5u128)), bcs(&None::<u128>)),
    ];
    for (a_type, a, a2) in &values {
        cases.push(case(PROBE, "data", "to_bytes", &[a_type], std::slice::from_ref(a)));
        cases.push(case(PROBE, "data", "equal", &[a_type], &[a.clone(), a2.clone()]));
        for (b_type, b, _) in &values {
            cases.push(case(PROBE, "data", "pair", &[a_type, b_type], &[a.clone(), b.clone()]));
        }
    }
    for ty in ["u8", "u64"] {
        let (a, b) =
            if ty == "u8" { (bcs(&vec![1u8, 2]), bcs(&vec![3u8])) } else { (three.clone(), none.clone()) };
        cases.push(case(PROBE, "data", "longest", &[ty], &[a, b]));
    }
    cases
}

fn object_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let objects = |function: &str, args: &[Vec<u8>]| probe("objects", function, args);
    for (key, other) in [(1u64, 1u64), (1, 2)] {
        cases.push(objects("field", &[bcs(&5u64), bcs(&key), bcs(&other)]));
        cases.push(objects("table", &[bcs(&key), bcs(&other), bcs(&key)]));
        cases.push(objects("table", &[bcs(&key), bcs(&3u64), bcs(&other)]));
        cases.push(objects("field_twice", &[bcs(&key)]));
        cases.push(objects("field_of_wrong_type", &[bcs(&key)]));
    }
    for value in [0u64, 21, u64::MAX] {
        cases.push(objects("object_field", &[bcs(&value)]));
        cases.push(objects("emit", &[bcs(&value)]));
        cases.push(objects("sent", &[bcs(&value)]));
        cases.push(objects("shared", &[bcs(&value)]));
    }
    cases.push(objects("field_keys", &[]));
    cases.push(objects("fresh", &[]));
    let object_id = Address::new([9; 32]);
    let coin = Object {
        object_id,
        type_tag: "0x2::coin::Coin<0x2::sui::SUI>".parse().expect("a type"),
        bcs_bytes: hex::encode(bcs(&(object_id, 1000u64))),
        is_shared: true,
        mutable: true,
    };
    for part in [0u64, 1, 999, 1000, 1001] {
        for function in ["coins", "balances"] {
            let mut split = objects(function, &[bcs(&part)]);
            split.objects.push(coin.clone());
            cases.push(split);
        }
    }
    // Identifiers of dynamic fields: `derived_object` hashes parent, key and type as they do.
    let parents = [[0u8; 32], [0xab; 32]];
    let keys: [(&str, Vec<u8>); 9] = [
        ("bool", vec![1]),
        ("u8", vec![5]),
        ("u64", bcs(&5u64)),
        ("u256", vec![3; 32]),
        ("address", vec![4; 32]),
        ("vector<u8>", bcs(&b"key".to_vec())),
        ("0x1::string::String", bcs(&"key")),
        ("0x2::object::ID", vec![6; 32]),
        ("0x1::option::Option<vector<u16>>", bcs(&Some(vec![1u16, 2]))),
    ];
    for parent in parents {
        for (ty, key) in &keys {
            let args = [parent.to_vec(), key.clone()];
            cases.push(case(SUI, "derived_object", "derive_address", &[ty], &args));
        }
    }
    for ty in [
        "u8",
        "vector<vector<address>>",
        "0x2::sui::SUI",
        "0x2::coin::Coin<0x2::sui::SUI>",
        "0x2::table::Table<u64, 0x1::option::Option<0xdada::data::Point>>",
        "0xdada::data::Pair<u8, vector<bool>>",
    ] {
        for function in ["with_defining_ids", "with_original_ids", "defining_id", "original_id"] {
            cases.push(case(STD, "type_name", function, &[ty], &[]));
        }
        cases.push(case(STD, "vector", "empty", &[ty], &[]));
        cases.push(case(STD, "option", "none", &[ty], &[]));
    }
    cases
}

/// Framework functions that are called with random arguments.
///
/// The oracle has natives of its own instead of Sui's for `0x2::address`, `0x2::hash`, `0x2::hmac` and
/// `0x2::ed25519`, and they differ from Sui's; `vm_natives.rs` tests those with published vectors.
const FUNCTIONS: [(Address, &str, &str); 16] = [
    (STD, "u8", "bitwise_not max min diff divide_and_round_up pow sqrt to_string"),
    (STD, "u16", "bitwise_not max min diff divide_and_round_up pow sqrt try_as_u8 to_string"),
    (STD, "u32", "bitwise_not diff divide_and_round_up pow sqrt try_as_u8 try_as_u16 to_string"),
    (STD, "u64", "bitwise_not diff divide_and_round_up pow sqrt try_as_u16 try_as_u32 to_string"),
    (STD, "u128", "bitwise_not diff divide_and_round_up pow sqrt try_as_u8 try_as_u64 to_string"),
    (STD, "u256", "bitwise_not diff divide_and_round_up pow try_as_u8 try_as_u128 to_string"),
    (STD, "fixed_point32", "create_from_rational create_from_raw_value"),
    (STD, "uq32_32", "from_quotient from_int from_raw"),
    (STD, "uq64_64", "from_quotient from_int"),
    (STD, "bit_vector", "new"),
    (STD, "hash", "sha2_256 sha3_256"),
    (STD, "string", "utf8 try_utf8 length is_empty substring index_of into_bytes to_ascii"),
    (
        STD,
        "ascii",
        "char string try_string length substring to_uppercase is_valid_char all_characters_printable index_of",
    ),
    (SUI, "address", "to_bytes to_string max"),
    (SUI, "hex", "encode decode"),
    (SUI, "object", "id_from_address"),
];

fn framework_cases(session: &mut Session<'_>) -> Vec<Case> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut cases = Vec::new();
    for (package, module, functions) in FUNCTIONS {
        for function in functions.split(' ') {
            let info = session.function(package, &id(module), &id(function), &[]).expect("a function");
            for _ in 0..6 {
                let args: Vec<_> = info.params.iter().map(|param| draw(&param.ty, &mut random)).collect();
                cases.push(case(package, module, function, &[], &args));
            }
        }
    }
    cases
}

/// A random value, often one at a limit.
fn draw(ty: &TypeTag, random: &mut StdRng) -> Vec<u8> {
    let width = match ty {
        TypeTag::Bool => return vec![u8::from(random.random_bool(0.5))],
        TypeTag::Address => return random.random::<[u8; 32]>().to_vec(),
        TypeTag::Vector(_) => {
            let texts = [
                &b""[..],
                b"0x",
                b"00ff",
                b"Hello",
                b"zz",
                "\u{e9}".as_bytes(),
                &[0xff, 0xfe],
                &[7; 32],
                &[7; 33],
            ];
            return bcs(&texts.choose(random).expect("one of them").to_vec());
        }
        TypeTag::Struct(_) => {
            return bcs(["", "a", "Hello, Move", "lo", "~~"].choose(random).expect("one of them"));
        }
        TypeTag::U8 => 1,
        TypeTag::U16 => 2,
        TypeTag::U32 => 4,
        TypeTag::U64 => 8,
        TypeTag::U128 => 16,
        _ => 32,
    };
    let mut value = vec![0; width];
    match random.random_range(0..4) {
        0 => return limits(width).choose(random).expect("one of them").clone(),
        1 => value[0] = random.random_range(0..12),
        2 => random.fill(&mut value[..width.div_ceil(2)]),
        _ => random.fill(&mut value[..]),
    }
    value
}

/// The call in our interpreter.
fn ours(vm: &Vm, memory: &Memory, case: &Case) -> Outcome {
    let mut session = session(vm, memory);
    let mut args: Vec<Vec<u8>> = Vec::new();
    for given in case.objects.iter().map(|object| &object.bcs_bytes).chain(&case.pure) {
        args.push(hex::decode(given).expect("hex"));
    }
    let called = call(&mut session, case.package, case.module, &case.function, &case.types, &args);
    let called = called.and_then(|returned| session.finish().map(|_| returned));
    let (location, status, sub_status) = match called {
        Ok(returned) => return Outcome::Returned { returned: returned.iter().map(hex::encode).collect() },
        Err(VmError::Abort { location, code }) => (location, "ABORTED", Some(code)),
        Err(VmError::Primitive { location, what }) => match what {
            Primitive::Arithmetic => (location, "ARITHMETIC_ERROR", None),
            Primitive::IndexOutOfBounds => (location, "VECTOR_OPERATION_ERROR", Some(1)),
            Primitive::EmptyVector => (location, "VECTOR_OPERATION_ERROR", Some(2)),
            Primitive::VectorLength => (location, "VECTOR_OPERATION_ERROR", Some(3)),
            _ => (location, "VARIANT_TAG_MISMATCH", None),
        },
        Err(error) => panic!("{case:?}: {error}"),
    };
    Outcome::Failed {
        status: status.into(),
        sub_status,
        address: location.package,
        module: location.module.to_string(),
        function: Some(location.function),
        offset: Some(location.instruction),
    }
}

/// A Python that the oracle has a wheel for.
fn python() -> &'static str {
    let fits = |python: &&str| {
        let check = "import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))";
        Command::new(python)
            .args(["-c", check])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    let found = ["python3", "python3.11", "python3.12"].into_iter().find(fits);
    found.expect("the oracle needs Python 3.11 or 3.12 on x86-64 Linux; install one of them")
}

fn ask_oracle(request: &Request) -> Vec<Outcome> {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let mut oracle = Command::new(python())
        .arg(format!("{manifest}/tests/oracle/oracle.py"))
        .args(["--cache", &format!("{manifest}/../../.cache")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let request = serde_json::to_vec(request).expect("encodable");
    let mut stdin = oracle.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(&request));
    let output = oracle.wait_with_output().expect("the oracle ends");
    assert!(output.status.success(), "the oracle failed; its words are above");
    writer.join().expect("the writer ends").expect("the oracle reads");
    serde_json::from_slice(&output.stdout).expect("the oracle writes outcomes")
}

/// Publishes the probe; its modules with their address.
fn publish_probe(vm: &Vm, memory: &mut Memory) -> Vec<Vec<u8>> {
    let modules = ["data", "numbers", "objects"].map(|name| {
        let path = format!("{}/tests/oracle/probe/build/{name}.mv", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    });
    let publication = Publication {
        id: PROBE,
        original: PROBE,
        modules: modules.to_vec(),
        linkage: [(STD, STD), (SUI, SUI)].into(),
        type_origins: BTreeMap::new(),
    };
    let published = session(vm, memory).publish(publication).expect("the probe links");
    memory.install(PROBE, &published);
    published.modules.values().map(|bytes| bytes.to_vec()).collect()
}

#[test]
fn calls_end_as_in_the_real_vm() {
    let (vm, mut memory) = (Vm::new(), with_framework());
    let modules = publish_probe(&vm, &mut memory);
    let mut cases = integer_cases();
    cases.extend(data_cases());
    cases.extend(object_cases());
    cases.extend(framework_cases(&mut session(&vm, &memory)));
    let packages = [(PROBE, modules.iter().map(|module| BASE64_STANDARD.encode(module)).collect())].into();
    let request = Request { packages, cases };
    let theirs = ask_oracle(&request);
    assert_eq!(theirs.len(), request.cases.len());
    let mut differences = Vec::new();
    let mut failures = 0;
    for (case, theirs) in request.cases.iter().zip(&theirs) {
        let ours = ours(&vm, &memory, case);
        failures += usize::from(matches!(theirs, Outcome::Failed { .. }));
        if ours != *theirs {
            differences.push(format!("{case:?}\n  ours {ours:?}\n  theirs {theirs:?}"));
        }
    }
    println!("{} calls, {failures} of them fail as they should", theirs.len());
    let count = differences.len();
    let some = differences.into_iter().take(20).collect::<Vec<_>>().join("\n");
    assert!(count == 0, "{count} of {} calls differ (seed {SEED}):\n{some}", theirs.len());
    assert!(theirs.len() > 1000 && failures > 100, "too few cases to mean anything");
}
