"""Settings shared by all tests: examples are drawn from a fixed seed, so that a failure can be repeated anywhere."""

import os
import sys

import hypothesis
import pytest

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=20)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# What `make check` leaves out: files that take long and guard what daily work seldom touches, and some long tests.
# Seconds of processor time are measured; what is left takes about a third of what all tests take.
SLOW = {
    "test_plugins.py": 36, "test_session.py": 21, "test_exact_bounds.py": 18, "test_results.py": 7, "test_shapes.py": 6,
    "test_grid_rounding.py": 6, "test_mlp.py": 5, "test_gaussian_rounding.py": 5, "test_readme.py": 5,
    "test_attention_experiment.py": 4, "test_example_package.py": 45, "test_figures.py": 2, "test_testing.py": 30,
    "test_circle.py": 20, "test_optim.py": 13, "test_digits.py": 20, "test_gaussian_flows.py": 32,
    "test_gaussian_experiments.py": 5, "test_network.py": 25, "test_joint.py": 25, "test_pages.py": 40,
    "test_publish.py": 30, "test_lab.py": 30, "test_live.py": 15, "test_live_pictures.py": 65, "test_numbers.py": 6,
    "test_sweep.py": 2, "test_protocol.py": 3, "test_heaps.py": 2, "test_minibatches.py": 1,
}  # fmt: skip
SLOW_TESTS = {
    "test_compositions_and_gauges_of_two_functions": 15,
    "test_a_plugin_of_two_functions_flows_like_the_built_in_gauge": 15,
    "test_speed_slope_and_energy_agree_for_every_gauge": 9,
    "test_errors_and_residual_are_proportional_to_tol": 5,
    "test_the_promise_holds_across_the_kinks_of_a_relu_network": 4,
    "test_every_name_of_the_api_page_has_an_example_that_runs": 5,
    "test_every_executor_gives_the_same_bits": 4,
    "test_at_p_infinity_the_smaller_direction_arrives_first_and_stays": 3,
    "test_closed_forms_of_gauges_that_see_more_than_eigenvalues": 2,
    "test_monotone_in_p_and_between_the_comparison_bounds": 1,
    "test_gaussians_have_their_closed_value": 3,
}


def pytest_ignore_collect(collection_path, config):
    """Files left out of the quick part are not even imported: that takes seconds too. None: pytest decides."""
    return (config.option.markexpr == "not slow" and collection_path.name in SLOW) or None


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in SLOW or item.originalname in SLOW_TESTS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def figures_are_closed():
    """Each test begins without another's open figures; Matplotlib is not imported for that."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def one_thread():
    """PyTorch with one: its matrices are small here, and other tests run beside these."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
