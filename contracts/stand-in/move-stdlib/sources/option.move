// Written by hand for `tools/test.mjs`: what our contracts and their tests use of the framework's module of this name, no more.
module std::option;

public struct Option<Element> has copy, drop, store { vec: vector<Element> }

public fun none<Element>(): Option<Element> { Option { vec: vector[] } }

public fun some<Element>(e: Element): Option<Element> { Option { vec: vector[e] } }

public fun is_none<Element>(t: &Option<Element>): bool { t.vec.is_empty() }

public fun is_some<Element>(t: &Option<Element>): bool { !t.vec.is_empty() }

public fun contains<Element>(t: &Option<Element>, e: &Element): bool { t.vec.contains(e) }

public fun borrow<Element>(t: &Option<Element>): &Element { &t.vec[0] }

public fun destroy_some<Element>(t: Option<Element>): Element {
    let Option { mut vec } = t;
    let e = vec.pop_back();
    vec.destroy_empty();
    e
}

public fun extract<Element>(t: &mut Option<Element>): Element { t.vec.pop_back() }
