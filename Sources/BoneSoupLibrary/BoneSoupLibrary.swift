// Holds no code: this target carries the link settings of libbonesoup.so, which the test bundle must not inherit.
