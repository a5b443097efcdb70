// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
#[defines_primitive(vector)]
module std::vector;

public use fun std::string::utf8 as vector.to_string;
#[bytecode_instruction]
public native fun empty<Element>(): vector<Element>;
#[bytecode_instruction]
public native fun length<Element>(v: &vector<Element>): u64;
#[syntax(index)]
#[bytecode_instruction]
public native fun borrow<Element>(v: &vector<Element>, i: u64): &Element;
#[bytecode_instruction]
public native fun push_back<Element>(v: &mut vector<Element>, e: Element);
#[syntax(index)]
#[bytecode_instruction]
public native fun borrow_mut<Element>(v: &mut vector<Element>, i: u64): &mut Element;
#[bytecode_instruction]
public native fun pop_back<Element>(v: &mut vector<Element>): Element;
#[bytecode_instruction]
public native fun destroy_empty<Element>(v: vector<Element>);
#[bytecode_instruction]
public native fun swap<Element>(v: &mut vector<Element>, i: u64, j: u64);
public fun is_empty<Element>(v: &vector<Element>): bool { v.length() == 0 }

public fun append<Element>(lhs: &mut vector<Element>, other: vector<Element>) {
    let mut other = other;
    let n = other.length();
    let mut r = vector[];
    let mut i = 0;
    while (i < n) { r.push_back(other.pop_back()); i = i + 1 };
    other.destroy_empty();
    i = 0;
    while (i < n) { lhs.push_back(r.pop_back()); i = i + 1 };
    r.destroy_empty();
}

public fun contains<Element>(v: &vector<Element>, e: &Element): bool { let (f, _) = index_of(v, e); f }

public fun index_of<Element>(v: &vector<Element>, e: &Element): (bool, u64) {
    let mut i = 0;
    while (i < v.length()) { if (&v[i] == e) return (true, i); i = i + 1 };
    (false, 0)
}

public fun remove<Element>(v: &mut vector<Element>, i: u64): Element {
    let n = v.length();
    let mut j = i;
    while (j + 1 < n) { v.swap(j, j + 1); j = j + 1 };
    v.pop_back()
}

public fun swap_remove<Element>(v: &mut vector<Element>, i: u64): Element {
    let l = v.length() - 1;
    v.swap(i, l);
    v.pop_back()
}
