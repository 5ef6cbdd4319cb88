"""The default mesh: a web shop of twelve services in three layers, two databases and a session cache.

Medians are those of a healthy shop at its mean load: pages of 20-80 ms, a checkout of about 200 ms.
"""

from __future__ import annotations

from aiops.simulate.mesh import (
    Call,
    Chance,
    Internal,
    Journey,
    Log,
    Mesh,
    Operation,
    Parallel,
    Refuse,
    Service,
    Work,
)


def _entry(name: str, *calls: Call | Parallel) -> Operation:
    """An operation of the gateway: authenticate, route, write the access line."""
    return Operation(
        name,
        (
            Log("Request received from {ip} session={session} agent={agent}"),
            Work(1.2),
            *calls,
            Work(0.8),
            Log(f'{{ip}} "{name} HTTP/1.1" 200 {{bytes}} {{ms}}ms'),
        ),
    )


def _statement(name: str, median_ms: float, cpu: float = 0.5) -> Operation:
    return Operation(name, (Work(median_ms, 0.4, cpu),))


_GATEWAY = Service(
    "gateway",
    3,
    (
        _entry(
            "GET /api/home",
            Parallel(
                (Call("catalog", "ListFeatured", attempts=2), Call("recommendation", "Recommend", required=False))
            ),
        ),
        _entry("GET /api/products/{id}", Call("catalog", "GetProduct", attempts=2)),
        _entry("GET /api/search", Call("search", "Query", attempts=2)),
        _entry("POST /api/login", Call("account", "Login")),
        _entry("GET /api/cart", Call("cart", "GetCart", attempts=2)),
        _entry("POST /api/cart/items", Call("cart", "AddItem")),
        _entry("POST /api/checkout", Call("checkout", "PlaceOrder")),
    ),
    runtime="native",
    memory_mb=256,
)

_CATALOG = Service(
    "catalog",
    3,
    (
        Operation(
            "ListFeatured",
            (
                Work(2.0),
                Chance(
                    0.7,
                    (Log("Featured list served from cache, age {count} s"), Work(1.5)),
                    (
                        Call("catalog-db", "SELECT featured", attempts=2),
                        Log("Loaded {count} featured products from database in {ms} ms"),
                        Work(4.0),
                    ),
                ),
            ),
        ),
        Operation(
            "GetProduct",
            (
                Log("Looking up product {sku} for locale {locale}"),
                Work(1.5),
                Chance(
                    0.5,
                    (Work(0.5),),
                    (
                        Call("catalog-db", "SELECT product", attempts=2),
                        Internal("catalog.assemble", (Work(3.0),)),
                    ),
                ),
                Refuse(0.002, "Product {sku} not found"),
                Call("pricing", "Quote", attempts=2),
                Log("Product {sku} rendered in {ms} ms"),
            ),
        ),
    ),
    style="json",
    memory_mb=768,
)

_SEARCH = Service(
    "search",
    2,
    (
        Operation(
            "Query",
            (
                Log("Query '{word}' page {digit} from user {user}"),
                Internal("search.parse", (Work(1.0),)),
                Internal("search.rank", (Work(9.0, 0.45), Log("Ranked {count} candidates in shard {digit}", "DEBUG"))),
                Refuse(0.003, "Shard {digit} timed out after 500 ms", failed=True),
                Call("pricing", "QuoteBatch", attempts=2),
                Log("Query returned {count} hits in {ms} ms"),
            ),
        ),
    ),
    memory_mb=1024,
)

_CART = Service(
    "cart",
    2,
    (
        Operation(
            "GetCart",
            (
                Call("session-cache", "HGETALL cart", attempts=2),
                Work(1.5),
                Call("pricing", "QuoteBatch", required=False),
                Log("Cart of user {user} has {digit} items"),
            ),
        ),
        Operation(
            "AddItem",
            (
                Log("Adding {digit} x {sku} to cart of user {user}"),
                Work(1.0),
                Call("inventory", "CheckStock", attempts=2),
                Call("session-cache", "HSET cart", attempts=2),
                Refuse(0.008, "Version conflict in cart {session}", failed=True),
                Log("Cart {session} updated"),
            ),
        ),
    ),
    style="logfmt",
    runtime="native",
    memory_mb=256,
)

_CHECKOUT = Service(
    "checkout",
    2,
    (
        Operation(
            "PlaceOrder",
            (
                Log("Placing order {order} for user {user}"),
                Work(2.0),
                Parallel((Call("cart", "GetCart", attempts=2), Call("account", "GetProfile", attempts=2))),
                Call("inventory", "Reserve"),
                Call("shipping", "Estimate", required=False),
                Log("Order {order} totals {amount} EUR"),
                Call("payment", "Charge"),
                Internal("checkout.commit", (Work(2.0), Call("orders-db", "INSERT order", attempts=2))),
                Call("notification", "OrderPlaced", queued=True),
                Log("Order {order} placed in {ms} ms"),
            ),
        ),
    ),
    memory_mb=768,
)

_ACCOUNT = Service(
    "account",
    2,
    (
        Operation(
            "Login",
            (
                Log("Login attempt of user {user} from {ip}"),
                Call("orders-db", "SELECT user", attempts=2),
                Internal("account.verify", (Work(12.0, 0.15, 0.95),)),
                Refuse(0.01, "Login of user {user} rejected: wrong password"),
                Call("session-cache", "SET session", attempts=2),
                Log("User {user} logged in, session {session}"),
            ),
        ),
        Operation(
            "GetProfile",
            (Work(1.2), Call("orders-db", "SELECT user", attempts=2), Log("Profile of user {user} loaded")),
        ),
    ),
    style="json",
    memory_mb=512,
)

_PRICING = Service(
    "pricing",
    2,
    (
        Operation(
            "Quote",
            (Work(2.5), Refuse(0.0005, "Price rule {sku} is ambiguous", failed=True), Log("Quoted {sku} at {amount}")),
        ),
        Operation(
            "QuoteBatch",
            (
                Chance(0.15, (Log("Price list {digit} is stale, using last known", "WARN"),)),
                Work(5.0, 0.4),
                Log("Quoted {count} items in {ms} ms"),
            ),
        ),
    ),
    memory_mb=512,
)

_INVENTORY = Service(
    "inventory",
    2,
    (
        Operation(
            "CheckStock",
            (Work(1.5), Call("orders-db", "SELECT stock", attempts=2), Log("Stock of {sku} is {count}")),
        ),
        Operation(
            "Reserve",
            (
                Log("Reserving {digit} lines for order {order}"),
                Work(2.0),
                Call("orders-db", "UPDATE stock", attempts=2),
                Refuse(0.004, "Out of stock: {sku}"),
                Log("Reservation {uuid} confirmed"),
            ),
        ),
    ),
    style="logfmt",
)

_PAYMENT = Service(
    "payment",
    2,
    (
        Operation(
            "Charge",
            (
                Log("Charging {amount} EUR to card of user {user}"),
                Internal("payment.fraud_check", (Work(8.0, 0.35),)),
                Refuse(0.02, "Card of user {user} declined by issuer: code {digit}"),
                # The card network: time that no processor of ours spends.
                Internal("payment.authorise", (Work(45.0, 0.35, 0.05), Refuse(0.012, "Issuer timeout", failed=True))),
                Log("Charge {uuid} authorised in {ms} ms"),
            ),
        ),
    ),
    style="json",
)

_SHIPPING = Service(
    "shipping",
    1,
    (
        Operation(
            "Estimate",
            (Work(4.0), Log("Shipping estimate for zip {zip}: {amount} EUR, {digit} days")),
        ),
    ),
    runtime="native",
    memory_mb=128,
)

_RECOMMENDATION = Service(
    "recommendation",
    2,
    (
        Operation(
            "Recommend",
            (
                Work(1.0),
                Internal("recommendation.infer", (Work(11.0, 0.35, 0.95),)),
                Chance(0.3, (Call("catalog", "ListFeatured", required=False),)),
                Log("Recommended {digit} products for user {user} with model v{digit}"),
            ),
        ),
    ),
    memory_mb=1024,
)

_NOTIFICATION = Service(
    "notification",
    1,
    (
        Operation(
            "OrderPlaced",
            (
                Work(3.0),
                Internal("notification.send", (Work(25.0, 0.5, 0.1),)),
                Chance(0.02, (Log("Mail server answered 451, mail to user {user} deferred", "WARN"),)),
                Log("Mail {uuid} for order {order} sent to user {user}"),
            ),
        ),
    ),
    memory_mb=256,
)

_CATALOG_DB = Service(
    "catalog-db",
    1,
    (_statement("SELECT featured", 4.0), _statement("SELECT product", 2.0)),
    runtime="database",
    memory_mb=2048,
)

_ORDERS_DB = Service(
    "orders-db",
    1,
    (
        _statement("SELECT user", 1.5),
        _statement("SELECT stock", 1.5),
        _statement("UPDATE stock", 3.5),
        _statement("INSERT order", 5.0),
    ),
    runtime="database",
    memory_mb=2048,
)

_SESSION_CACHE = Service(
    "session-cache",
    1,
    (
        _statement("HGETALL cart", 0.4, 0.8),
        _statement("HSET cart", 0.4, 0.8),
        _statement("SET session", 0.4, 0.8),
    ),
    runtime="cache",
    memory_mb=512,
)


def web_shop() -> Mesh:
    """Describe the shop.

    >>> mesh = web_shop()
    >>> len(mesh.services), sum(service.replicas for service in mesh.services)
    (15, 27)
    """
    return Mesh(
        services=(
            _GATEWAY,
            _CATALOG,
            _SEARCH,
            _CART,
            _CHECKOUT,
            _ACCOUNT,
            _PRICING,
            _INVENTORY,
            _PAYMENT,
            _SHIPPING,
            _RECOMMENDATION,
            _NOTIFICATION,
            _CATALOG_DB,
            _ORDERS_DB,
            _SESSION_CACHE,
        ),
        journeys=(
            Journey("GET /api/home", 20),
            Journey("GET /api/products/{id}", 28),
            Journey("GET /api/search", 13),
            Journey("POST /api/login", 9),
            Journey("GET /api/cart", 9),
            Journey("POST /api/cart/items", 11),
            Journey("POST /api/checkout", 10),
        ),
        hourly_job="search",
    )
