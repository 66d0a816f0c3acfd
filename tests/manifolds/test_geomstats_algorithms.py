"""Our spaces inside geomstats: what runs on its own sphere runs on ours, with the same result."""

import pytest
import torch
from geomstats.learning.agglomerative_hierarchical_clustering import AgglomerativeHierarchicalClustering
from geomstats.learning.expectation_maximization import RiemannianEM
from geomstats.learning.frechet_mean import FrechetMean
from geomstats.learning.geodesic_regression import GeodesicRegression
from geomstats.learning.geometric_median import GeometricMedian
from geomstats.learning.incremental_frechet_mean import IncrementalFrechetMean
from geomstats.learning.kernel_density_estimation_classifier import KernelDensityEstimationClassifier
from geomstats.learning.kmeans import RiemannianKMeans
from geomstats.learning.kmedoids import RiemannianKMedoids
from geomstats.learning.knn import KNearestNeighborsClassifier
from geomstats.learning.mdm import RiemannianMinimumDistanceToMean
from geomstats.learning.online_kmeans import OnlineKMeans
from geomstats.learning.pca import TangentPCA as GeomstatsTangentPCA
from geomstats.learning.preprocessing import ToTangentSpace
from packaging.version import Version

from manifoldflow._geomstats import GeomstatsHypersphere
from manifoldflow.manifolds import Euclidean, Hypersphere, Product, Pullback, Simplex, frechet_mean

from ..strategies import stereographic

# scikit-learn asks torch what its arrays are, in a way that torch is retiring
pytestmark = pytest.mark.filterwarnings("ignore:torch.sparse:UserWarning")


@pytest.fixture(autouse=True)
def _double():
    """geomstats creates its constants in the default dtype, and expects double."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(default)


def cloud(space, k=12):
    """Two clusters in the positive orthant, in turn, read as points of the space."""
    rng = torch.Generator().manual_seed(0)
    sphere, centres = Hypersphere(2), torch.tensor([[0.8, 0.48, 0.36], [0.36, 0.48, 0.8]]).repeat(k // 2, 1)
    x = sphere.metric.exp(0.1 * sphere.random_tangent_vec(centres, generator=rng), centres)
    return x**2 if isinstance(space, Simplex) else x[:, : space.shape[0]]


LABELS = torch.arange(12) % 2
TIMES = torch.linspace(0, 1, 12)


def ladder(space, x):
    metric = space.metric
    u, v = metric.log(x[1], x[0]), metric.log(x[2], x[0])
    return metric.ladder_parallel_transport(0.2 * u, x[0], v)["transported_tangent_vec"]


def sectional(space, x):
    u, v = (space.metric.log(x[i], x[0]) for i in (1, 2))
    return space.metric.sectional_curvature(u, v, x[0])


def together(labels):
    """Which points share a cluster: the same for every numbering."""
    labels = torch.as_tensor(labels)
    return (labels[:, None] == labels).double()


ALGORITHMS = {
    "FrechetMean": lambda s, x: FrechetMean(s).fit(x).estimate_,
    "FrechetMean, weighted": lambda s, x: FrechetMean(s).fit(x, weights=TIMES).estimate_,
    "GeometricMedian": lambda s, x: GeometricMedian(s).fit(x).estimate_,
    "IncrementalFrechetMean": lambda s, x: IncrementalFrechetMean(s).fit(x).estimate_,
    "KMeans": lambda s, x: together(RiemannianKMeans(s, 2).fit(x).labels_),
    "KMedoids": lambda s, x: together(RiemannianKMedoids(s, n_clusters=2).fit(x).labels_),
    "OnlineKMeans": lambda s, x: OnlineKMeans(s, 2).fit(x).cluster_centers_,
    "KNN": lambda s, x: KNearestNeighborsClassifier(s, n_neighbors=3).fit(x, LABELS).predict(x),
    "Agglomerative": lambda s, x: AgglomerativeHierarchicalClustering(s, n_clusters=2).fit(x).labels_,
    "MinimumDistanceToMean": lambda s, x: RiemannianMinimumDistanceToMean(s).fit(x, LABELS).predict(x),
    "KernelDensity": lambda s, x: KernelDensityEstimationClassifier(s).fit(x, LABELS).predict(x),
    "ToTangentSpace": lambda s, x: ToTangentSpace(s).fit(x).transform(x),
    "ladder": ladder,
    "sectional curvature": sectional,
    "pairwise distances": lambda s, x: s.metric.dist_pairwise(x),
    "nearest neighbour": lambda s, x: s.metric.closest_neighbor_index(x[0], x[1:]),
    "diameter": lambda s, x: s.metric.diameter(x),
    "broadcast distances": lambda s, x: s.metric.dist_broadcast(x[:3], x[3:7]),
    "normalize": lambda s, x: s.metric.normalize(s.metric.log(x[1:], x[0]), x[0]),
    "unit tangent vectors": lambda s, x: s.metric.norm(s.metric.random_unit_tangent_vec(x[0]), x[0]),
}
SPHERE_ONLY = {
    "FrechetMean, adaptive": lambda s, x: FrechetMean(s, method="adaptive").fit(x).estimate_,
    "FrechetMean, batch": lambda s, x: FrechetMean(s, method="batch").fit(x.reshape(6, 2, 3)).estimate_,
    "GeodesicRegression": lambda s, x: GeodesicRegression(s).fit(TIMES, x).coef_,
    "GeodesicRegression, riemannian": lambda s, x: GeodesicRegression(s, method="riemannian").fit(TIMES, x).coef_,
}
OURS = [
    Euclidean(3),
    Simplex(2),
    Simplex(2, metric="euclidean"),
    Simplex(2, metric="aitchison"),
    Product([Hypersphere(2)]),
    stereographic(2),
]


@pytest.mark.parametrize("name", [*ALGORITHMS, *SPHERE_ONLY])
def test_our_sphere_gives_what_theirs_gives(name):
    algorithm = {**ALGORITHMS, **SPHERE_ONLY}[name]
    results = []
    for space in (GeomstatsHypersphere(2), Hypersphere(2)):
        torch.manual_seed(0)
        results.append(torch.as_tensor(algorithm(space, cloud(space))))
    # their log loses half of the digits at some angles: see the accuracy table
    torch.testing.assert_close(results[1], results[0].to(results[1].dtype), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("space", OURS, ids=repr)
def test_the_other_spaces_run(space, name):
    result = torch.as_tensor(ALGORITHMS[name](space, cloud(space)))
    assert result.isfinite().all()


def test_frechet_mean_runs_in_float32_too():
    torch.set_default_dtype(torch.float32)
    space = Hypersphere(2)
    points = cloud(space).float()
    estimate = FrechetMean(space).fit(points).estimate_
    assert estimate.dtype == torch.float32
    torch.testing.assert_close(estimate, frechet_mean(space, points), atol=1e-2, rtol=0)


def test_circle_mean():
    """geomstats treats the circle apart."""
    angles = torch.tensor([0.1, 0.4, 0.9])
    points = torch.stack([angles.cos(), angles.sin()], -1)
    expected = torch.stack([angles.mean().cos(), angles.mean().sin()])
    torch.testing.assert_close(FrechetMean(Hypersphere(1)).fit(points).estimate_.reshape(2), expected)
    torch.testing.assert_close(frechet_mean(Hypersphere(1), points), expected)


@pytest.mark.skipif(Version(torch.__version__) < Version("2.7"), reason="the errors are those of newer versions")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_fails_on_their_own_sphere():
    """Known of geomstats 2.8 under torch. The day one of these runs, it joins the table above."""
    space, x = GeomstatsHypersphere(2), cloud(Hypersphere(2))
    with pytest.raises(TypeError, match="Cannot interpret 'torch"):
        GeomstatsTangentPCA(space, n_components=2).fit(x)
    with pytest.raises(NotImplementedError, match="not implemented for 'Complex"):
        RiemannianEM(space, n_gaussians=2).fit(x)


@pytest.mark.parametrize(
    ("space", "curvature"),
    [
        (Hypersphere(3), 1.0),
        (Simplex(3), 0.25),
        (Simplex(3, metric="aitchison"), 0.0),
        (Simplex(3, metric="euclidean"), 0.0),
        (stereographic(2), 1.0),
        (Pullback(Hypersphere(2), stereographic(2).map), 1.0),
        (Product([Hypersphere(2), Euclidean(1)], weights=[4.0, 1.0]), None),
    ],
    ids=repr,
)
def test_sectional_curvature(space, curvature):
    """Against the defect of the law of cosines, which knows nothing of curvature tensors."""
    x = space.random_point(generator=torch.Generator().manual_seed(1))
    rng = torch.Generator().manual_seed(7)
    u, v = (space.random_tangent_vec(x, generator=rng) for _ in range(2))
    metric = space.metric
    u = u / metric.norm(u, x)
    v = v - metric.inner_product(u, v, x) * u
    v = v / metric.norm(v, x)
    got = metric.sectional_curvature(u, v, x)
    if isinstance(space, Pullback):
        metric = stereographic(2).metric  # the same metric, with distances in closed form
    h = 0.02 * min(1.0, float(metric.injectivity_radius(x)) if "Pullback" not in repr(space) else 1.0)
    squared = metric.squared_dist(metric.exp(h * u, x), metric.exp(h * v, x))
    numeric = 3 * (2 * h**2 - squared) / h**4  # d^2 = |hu - hv|^2 - K h^4 / 3 + ...
    torch.testing.assert_close(got, numeric, atol=0.02, rtol=0.02)
    if curvature is not None:
        torch.testing.assert_close(got, torch.tensor(curvature), atol=1e-6, rtol=0)


def test_ambient_coordinates_have_no_christoffel_symbols():
    with pytest.raises(NotImplementedError, match="coordinates of this space are ambient"):
        Simplex(2).metric.christoffels(Simplex(2).random_point())
