// The one function of Thrust that Jittor calls.
#pragma once
#include <iterator>

namespace thrust {
template <class Iterator>
std::reverse_iterator<Iterator> make_reverse_iterator(Iterator i) {
    return std::reverse_iterator<Iterator>(i);
}
}  // namespace thrust
