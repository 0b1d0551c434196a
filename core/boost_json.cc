// The one translation unit that holds the compiled parts of Boost.JSON.
#include <boost/json/src.hpp>
