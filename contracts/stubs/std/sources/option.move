module std::option;

public struct Option<Element> has copy, drop, store {
    vec: vector<Element>,
}

public native fun none<Element>(): Option<Element>;
public native fun some<Element>(e: Element): Option<Element>;
public native fun is_none<Element>(t: &Option<Element>): bool;
public native fun is_some<Element>(t: &Option<Element>): bool;
public native fun contains<Element>(t: &Option<Element>, e: &Element): bool;
public native fun borrow<Element>(t: &Option<Element>): &Element;
public native fun borrow_mut<Element>(t: &mut Option<Element>): &mut Element;
public native fun fill<Element>(t: &mut Option<Element>, e: Element);
public native fun extract<Element>(t: &mut Option<Element>): Element;
public native fun swap<Element>(t: &mut Option<Element>, e: Element): Element;
public native fun destroy_some<Element>(t: Option<Element>): Element;
public native fun destroy_none<Element>(t: Option<Element>);
