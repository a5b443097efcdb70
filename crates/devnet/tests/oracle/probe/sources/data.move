/// Vectors, structs, enums, references, generics, aborts, BCS.
module oracle::data;

use std::bcs;
use std::string::{Self, String};

/// A named reason.
#[error]
const EClever: vector<u8> = b"a clever error";
const EPlain: u64 = 77;
const TABLE: vector<u16> = vector[1, 2, 65535];
const NESTED: vector<vector<u8>> = vector[b"ab", b"", b"c"];
const WHO: address = @0xdada;

public struct Point has copy, drop, store {
    x: u64,
    y: u64,
}

public struct Line has copy, drop, store {
    from: Point,
    to: Point,
    tags: vector<u8>,
}

public struct Pair<A, B> has copy, drop, store {
    a: A,
    b: B,
}

public struct Marker<phantom T> has copy, drop, store {
    on: bool,
}

public enum Shape has copy, drop, store {
    Empty,
    Circle(u64),
    Polygon { name: String, points: vector<Point> },
}

public fun push(v: vector<u64>, x: u64): vector<u64> {
    let mut v = v;
    v.push_back(x);
    v
}

public fun pop(v: vector<u64>): (u64, vector<u64>) {
    let mut v = v;
    let x = v.pop_back();
    (x, v)
}

public fun get(v: vector<u64>, i: u64): u64 { v[i] }

public fun set(v: vector<u64>, i: u64, x: u64): vector<u64> {
    let mut v = v;
    *&mut v[i] = x;
    v
}

public fun swap(v: vector<u64>, i: u64, j: u64): vector<u64> {
    let mut v = v;
    v.swap(i, j);
    v
}

public fun bytes(v: vector<u8>, i: u64, x: u8): vector<u8> {
    let mut v = v;
    let byte = &mut v[i];
    *byte = *byte ^ x;
    v.push_back(x);
    v.swap(0, i);
    v
}

public fun generic_bytes(x: u8): (vector<u8>, vector<u8>, u64) {
    let mut one = single(x);
    let two = vector[x, x];
    one.append(two);
    (one, two, one.length())
}

fun single<T>(x: T): vector<T> { vector[x] }

public fun bytes_equal(v: vector<u8>, x: u8): vector<bool> {
    let first = &v[0];
    vector[first == &x, *first != x, v == vector[x], v == b""]
}

public fun nested(v: vector<vector<u64>>, i: u64, j: u64, x: u64): vector<vector<u64>> {
    let mut v = v;
    let inner = &mut v[i];
    *&mut inner[j] = x;
    inner.push_back(x);
    v
}

public fun library(v: vector<u64>, x: u64): (vector<u64>, bool, u64, u64) {
    let mut v = v;
    v.reverse();
    v.insert(x, 0);
    let (found, at) = v.index_of(&x);
    let gone = v.remove(0);
    (v, found, at, gone)
}

public fun swap_remove(v: vector<u64>, i: u64): (u64, vector<u64>) {
    let mut v = v;
    let x = v.swap_remove(i);
    (x, v)
}

public fun destroy_empty(v: vector<u64>) { v.destroy_empty() }

public fun constants(): (vector<u16>, vector<vector<u8>>, address) { (TABLE, NESTED, WHO) }

public fun line(a: u64, b: u64): Line {
    let mut line = Line { from: Point { x: a, y: b }, to: Point { x: b, y: a }, tags: b"t" };
    let to = &mut line.to;
    bump(&mut to.x, 5);
    line.tags.push_back((a % 256) as u8);
    let copied = line;
    line.from = copied.to;
    line
}

fun bump(x: &mut u64, by: u64) { *x = *x + by; }

public fun longest<T: drop>(a: vector<T>, b: vector<T>): u64 { *pick(&a.length(), &b.length()) }

fun pick(a: &u64, b: &u64): &u64 { if (*a > *b) a else b }

public fun field_references(a: u64, b: u64): Point {
    let mut p = Point { x: a, y: b };
    *larger(&mut p) = 1000;
    p
}

fun larger(p: &mut Point): &mut u64 { if (p.x > p.y) &mut p.x else &mut p.y }

public fun pair<A: copy + drop, B: copy + drop>(a: A, b: B): (Pair<A, B>, Pair<B, A>, Pair<Pair<A, A>, vector<B>>) {
    (Pair { a, b }, Pair { a: b, b: a }, Pair { a: Pair { a, b: a }, b: vector[b, b] })
}

public fun to_bytes<A: copy + drop>(a: A): vector<vector<u8>> {
    let x = vector[a, a];
    vector[bcs::to_bytes(&a), bcs::to_bytes(&x), bcs::to_bytes(&x[1]), bcs::to_bytes(&Marker<A> { on: true })]
}

public fun equal<A: drop>(a: A, b: A): vector<bool> { vector[&a == &b, a == b] }

public fun deep(a: u64): vector<u8> {
    let p = Pair { a: Pair { a: Pair { a: Pair { a: Pair { a: vector[Pair { a, b: 1u8 }], b: 2u16 }, b: 3u32 }, b: 4u64 }, b: 5u128 }, b: 6u256 };
    let mut q = p;
    let deepest = &mut q.a.a.a.a.a[0].b;
    *deepest = 9;
    let x = &q.a.a.a.a.a[0].a;
    assert!(*x == a);
    bcs::to_bytes(&vector[p, q])
}

public fun shape(kind: u8, n: u64): vector<u8> { bcs::to_bytes(&make(kind, n)) }

fun make(kind: u8, n: u64): Shape {
    if (kind == 0) Shape::Empty
    else if (kind == 1) Shape::Circle(n)
    else Shape::Polygon { name: string::utf8(b"poly"), points: vector[Point { x: n, y: 1 }] }
}

public fun shape_size(kind: u8, n: u64): u64 {
    match (make(kind, n)) {
        Shape::Empty => 0,
        Shape::Circle(r) => r * 2,
        Shape::Polygon { name, points } => name.length() + points[0].x,
    }
}

public fun shape_grow(kind: u8, n: u64): Shape {
    let mut shape = make(kind, n);
    match (&mut shape) {
        Shape::Circle(r) => *r = *r + 1,
        Shape::Polygon { points, .. } => points.push_back(Point { x: 0, y: 0 }),
        Shape::Empty => (),
    };
    shape
}

public fun shape_as_circle(kind: u8, n: u64): u64 {
    match (&make(kind, n)) {
        Shape::Circle(r) => *r,
        _ => abort EPlain,
    }
}

public fun fail(code: u64) { abort code }

public fun fail_if(x: u64, limit: u64): u64 {
    assert!(x < limit, EPlain);
    x
}

public fun fail_cleverly(x: u64): u64 {
    assert!(x < 5, EClever);
    x
}

public fun fail_without_code(x: u64): u64 {
    assert!(x < 5);
    x
}

public fun fail_deeply(depth: u64): u64 {
    if (depth == 0) abort 5;
    1 + fail_deeply(depth - 1)
}

public fun sum(n: u64): u64 {
    let (mut i, mut total) = (0, 0);
    while (i < n) {
        i = i + 1;
        if (i % 3 == 0) continue;
        if (i > 500) break;
        total = total + i;
    };
    total
}

public fun text(a: vector<u8>, b: vector<u8>): (String, u64, bool) {
    let mut s = string::utf8(a);
    s.append(string::utf8(b));
    (s, s.length(), s.is_empty())
}

public fun maybe(some: bool, x: u64): (Option<u64>, u64) {
    let mut o = if (some) option::some(x) else option::none();
    if (o.is_some()) {
        let inner = o.borrow_mut();
        *inner = *inner + 1;
    };
    let y = if (o.contains(&1)) 1 else if (o.is_none()) 2 else *o.borrow();
    (o, y)
}

public fun extract(some: bool): u8 {
    let mut o = if (some) option::some(7u8) else option::none();
    let x = o.extract();
    o.destroy_none();
    x
}

/// Copies a vector of a thousand numbers again and again.
public fun hoard(times: u64): u64 {
    let mut v = vector[];
    let mut i = 0u64;
    while (i < 1000) {
        v.push_back(i);
        i = i + 1;
    };
    let mut all = vector[];
    i = 0;
    while (i < times) {
        all.push_back(v);
        i = i + 1;
    };
    all.length() * all[0].length()
}
